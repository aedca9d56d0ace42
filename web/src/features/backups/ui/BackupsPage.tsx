import { useMemo } from 'react';
import { Group, Stack } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { clusterQuery, recoverabilityOf, schedulesQuery, useDialog } from '~/features/clusters';
import { RestoreDialog } from '~/features/restores';
import { SafeguardsCard } from '~/features/safeguards';
import { SchedulesCard } from '~/features/schedules';
import { useClock } from '~/shared/lib/clock';
import { serverNow, useNow } from '~/shared/lib/now';
import { useTitle } from '~/shared/lib/title';
import { EmptyState } from '~/shared/ui/EmptyState';
import { Loaded } from '~/shared/ui/Loaded';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Time } from '~/shared/ui/Time';
import { clean } from '~/search';
import { isGoing, restorable } from '../model';
import { backupsOfQuery } from '../queries';
import type { BackupsSearch } from '../search';
import { BackupTable } from './BackupTable';
import classes from './Backups.module.css';

/** What do I have, from when, and how do I know it is good? */
export function BackupsPage() {
  const { project, cluster: name } = useParams({ from: '/shell/p/$project/clusters/$cluster/backups' });
  const search = useSearch({ from: '/shell/p/$project/clusters/$cluster/backups' });
  const navigate = useNavigate({ from: '/p/$project/clusters/$cluster/backups' });
  const clock = useClock();
  useNow(60_000);
  useTitle(name, 'Backups');
  const { data: cluster } = useQuery(clusterQuery(project, name));
  const query = useInfiniteQuery(backupsOfQuery(project, name));
  const open = useDialog();
  const all = useMemo(() => query.data?.pages.flatMap((p) => p.items) ?? [], [query.data]);
  if (!cluster) return null;
  const change = (part: Partial<BackupsSearch>, replace = true) => void navigate({ search: (before) => clean({ ...before, ...part }), replace });
  const restore = (id: string) => change({ restore: id, backup: undefined }, false);
  const said = recoverabilityOf(cluster, serverNow(), clock);

  const able = all.some(restorable);
  const backUp = () => open({ what: 'backup' });
  return (
    <Stack gap="md">
      <Group justify="space-between" gap="sm">
        <Sentence tone={said.tone} large>
          {said.text}
        </Sentence>
        <ActButton needs="operator" variant="default" blocked={query.data && !able && `No backup of ${name} is complete.`} onClick={() => restore('newest')}>
          Restore…
        </ActButton>
      </Group>
      <div className={classes.care}>
        <SchedulesCard project={project} cluster={name} opened={search.schedule} onOpen={(schedule) => change({ schedule }, false)} />
        <SafeguardsCard project={project} cluster={cluster} />
      </div>
      <section aria-label={`Backups of ${name}`}>
        <h2 className={classes.section}>
          Backups <span className={classes.count}>{query.hasNextPage ? `${all.length} of more` : all.filter((b) => !isGoing(b)).length}</span>
        </h2>
        <Loaded query={query} things="the backups">
          {() => (
            <BackupTable
              project={project}
              backups={all}
              search={search}
              change={change}
              onRestore={(b) => restore(b.id)}
              more={{ has: query.hasNextPage, busy: query.isFetchingNextPage, load: () => void query.fetchNextPage() }}
              empty={<None project={project} cluster={name} backUp={backUp} addSchedule={() => change({ schedule: '+' }, false)} />}
            />
          )}
        </Loaded>
      </section>
      {search.restore ? (
        <RestoreDialog
          project={project}
          cluster={cluster}
          asked={{ restore: search.restore, at: search.at, to: search.to }}
          onChange={(asked) => change(asked)}
          onClose={() => change({ restore: undefined, at: undefined, to: undefined })}
        />
      ) : null}
    </Stack>
  );
}

function None({ project, cluster, backUp, addSchedule }: { project: string; cluster: string; backUp: () => void; addSchedule: () => void }) {
  const { data } = useQuery(schedulesQuery(project, cluster));
  const next = data?.items.flatMap((s) => s.next_runs).toSorted()[0];
  const now = (
    <ActButton needs="operator" variant="default" onClick={backUp}>
      Back up now
    </ActButton>
  );
  if (next) {
    return (
      <EmptyState action={now}>
        No backups yet. The first runs at <Time at={next} />.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      action={
        <>
          <ActButton needs="admin" variant="default" onClick={addSchedule}>
            Add schedule
          </ActButton>
          {now}
        </>
      }
    >
      No backups and no schedule: this cluster cannot be recovered.
    </EmptyState>
  );
}
