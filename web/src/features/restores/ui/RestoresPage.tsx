import { useState, type ReactNode } from 'react';
import { Button, Group, Stack, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import type { Backup, Restore } from '~/api/schema';
import { backupsOfQuery } from '~/features/backups';
import { useClock } from '~/shared/lib/clock';
import { lookOf, trouble } from '~/shared/lib/statuses';
import { serverNow } from '~/shared/lib/now';
import { exact, parse } from '~/shared/lib/time';
import { useTitle } from '~/shared/lib/title';
import { DataTable, type Column } from '~/shared/ui/DataTable';
import { Elapsed } from '~/shared/ui/Duration';
import { EmptyState } from '~/shared/ui/EmptyState';
import { Loaded } from '~/shared/ui/Loaded';
import { ActButton } from '~/shared/ui/RoleGate';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Time, Unknown } from '~/shared/ui/Time';
import { inWords } from '../moment';
import { restoresQuery } from '../queries';
import { UndoDialog } from './UndoDialog';
import classes from './Restores.module.css';

/** It can be undone while the old data stands aside. */
export const undoable = (r: Restore): boolean => r.status === 'completed' && (parse(r.previous_data_until) ?? 0) > serverNow();

/** What was brought back, and can I undo it? */
export function RestoresPage() {
  const { project, cluster } = useParams({ from: '/shell/p/$project/clusters/$cluster/restores' });
  const navigate = useNavigate();
  useTitle(cluster, 'Restores');
  const query = useInfiniteQuery(restoresQuery(project, cluster));
  const { data: backups } = useInfiniteQuery(backupsOfQuery(project, cluster));
  const [undoing, setUndoing] = useState<Restore>();
  const known = backups?.pages.flatMap((p) => p.items) ?? [];
  const restore = () => void navigate({ to: '/p/$project/clusters/$cluster/backups', params: { project, cluster }, search: { restore: 'newest' } });
  const button = (
    <ActButton needs="operator" variant="default" onClick={restore}>
      Restore…
    </ActButton>
  );
  const undo = (r: Restore) =>
    undoable(r) ? (
      <ActButton needs="admin" variant="default" size="compact-sm" onClick={() => setUndoing(r)}>
        Undo restore…
      </ActButton>
    ) : null;
  return (
    <Loaded query={query} things="the restores">
      {({ pages }) => {
        const rows = pages.flatMap((p) => p.items);
        return rows.length === 0 ? (
          <EmptyState action={button}>Nothing was restored yet. A drill proves that it would work.</EmptyState>
        ) : (
          <Stack gap="md">
            <Group justify="flex-end">{button}</Group>
            <DataTable
              caption={`Restores into ${cluster}`}
              table="restores"
              rows={rows}
              columns={columns(known, undo)}
              id={(r) => r.id}
              name={(r) => `the restore ${r.id}`}
              flashOn={(r) => r.status}
              card={(r) => (
                <>
                  <Group justify="space-between" wrap="nowrap" gap="sm">
                    <Time at={r.started_at} />
                    <StatusBadge noun="restore" status={r.status} />
                  </Group>
                  <Text size="sm" c="dimmed" component="div">
                    {r.error ?? <OldData restore={r} />} {undo(r)}
                  </Text>
                </>
              )}
            />
            {query.hasNextPage ? (
              <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()} style={{ alignSelf: 'flex-start' }}>
                Load more
              </Button>
            ) : null}
            {undoing ? <UndoDialog project={project} restore={undoing} onClose={() => setUndoing(undefined)} /> : null}
          </Stack>
        );
      }}
    </Loaded>
  );
}

function OldData({ restore: r }: { restore: Restore }) {
  if (r.status === 'undone') return <>put back</>;
  if (!r.previous_data_until) return <Unknown why="There was no data before, or it is gone" />;
  return undoable(r) ? (
    <>
      kept until <Time at={r.previous_data_until} />
    </>
  ) : (
    <>
      gone since <Time at={r.previous_data_until} />
    </>
  );
}

function From({ restore: r, backups }: { restore: Restore; backups: readonly Backup[] }) {
  const clock = useClock();
  const found = backups.find((b) => b.id === r.backup);
  const until = parse(r.until);
  if (until !== undefined) return <span title={exact(until)}>as it was at {inWords(until, serverNow(), clock)}</span>;
  if (!found) return <code>{r.backup}</code>;
  return (
    <>
      <Time at={found.created_at} />, {lookOf('proof', found.proof).word.toLowerCase()}
    </>
  );
}

function columns(backups: readonly Backup[], undo: (r: Restore) => ReactNode): Column<Restore>[] {
  return [
    { id: 'started', head: 'Started', width: 130, cell: (r) => <Time at={r.started_at} /> },
    {
      id: 'status',
      head: 'Status',
      sort: (r) => trouble(lookOf('restore', r.status).tone),
      cell: (r) => (
        <>
          <StatusBadge noun="restore" status={r.status} />
          {r.error ? <span className={classes.error}>{r.error}</span> : null}
        </>
      ),
    },
    { id: 'from', head: 'From', cell: (r) => <From restore={r} backups={backups} /> },
    { id: 'into', head: 'Into', cell: (r) => r.target_cluster },
    { id: 'took', head: 'Took', number: true, cell: (r) => <Elapsed from={r.started_at} to={r.finished_at} /> },
    { id: 'old', head: 'Old data', cell: (r) => <OldData restore={r} /> },
    { id: 'undo', head: 'Actions', cell: undo },
  ];
}
