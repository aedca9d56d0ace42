import { useMemo } from 'react';
import { Stack } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { clustersQuery } from '~/features/clusters';
import { useNow } from '~/shared/lib/now';
import { useTitle } from '~/shared/lib/title';
import { EmptyState } from '~/shared/ui/EmptyState';
import { LinkButton } from '~/shared/ui/LinkButton';
import { Loaded } from '~/shared/ui/Loaded';
import { PageHead } from '~/shared/ui/PageHead';
import { clean } from '~/search';
import { lanes } from '../model';
import { allBackupsQuery } from '../queries';
import type { BackupsSearch } from '../search';
import { BackupTable } from './BackupTable';
import { DayStrip } from './DayStrip';

/** Is anything missing? */
export function AllBackups() {
  const { project } = useParams({ from: '/shell/p/$project/backups' });
  const search = useSearch({ from: '/shell/p/$project/backups' });
  const navigate = useNavigate({ from: '/p/$project/backups' });
  useTitle('Backups', project);
  const minute = useNow(60_000);
  const { status, kind, cluster } = search;
  const query = useInfiniteQuery(allBackupsQuery(project, clean({ status, kind, cluster })));
  // The strip is of all of them, whatever the table shows.
  const strip = useInfiniteQuery(allBackupsQuery(project));
  const { data: clusters } = useQuery(clustersQuery(project));
  const names = useMemo(() => clusters?.items.map((c) => c.name).toSorted() ?? [], [clusters]);
  const change = (part: Partial<BackupsSearch>, replace = true) => void navigate({ search: (before) => clean({ ...before, ...part }), replace });
  const all = useMemo(() => query.data?.pages.flatMap((p) => p.items) ?? [], [query.data]);
  const drawn = useMemo(() => (strip.data ? lanes(names, strip.data.pages.flatMap((p) => p.items), minute) : []), [names, strip.data, minute]);
  const day = (name: string, at: number) => {
    const d = new Date(at);
    const text = `${d.getFullYear()}-${String(d.getMonth() + 1).padStart(2, '0')}-${String(d.getDate()).padStart(2, '0')}`;
    change({ cluster: name, from: text, until: text });
  };
  return (
    <>
      <PageHead title="Backups" />
      <Loaded query={query} things="the backups">
        {() => (
          <Stack gap="md">
            {drawn.length > 0 ? <DayStrip project={project} lanes={drawn} onDay={day} /> : null}
            <BackupTable
              project={project}
              backups={all}
              search={search}
              change={change}
              clusters={names}
              onRestore={(b) => void navigate({ to: '/p/$project/clusters/$cluster/backups', params: { project, cluster: b.cluster }, search: { restore: b.id } })}
              more={{ has: query.hasNextPage, busy: query.isFetchingNextPage, load: () => void query.fetchNextPage() }}
              empty={
                <EmptyState action={<LinkButton to={`/p/${project}/clusters/new`}>Create cluster</LinkButton>}>
                  No backups in {project} yet. Each new cluster gets a daily schedule.
                </EmptyState>
              }
            />
          </Stack>
        )}
      </Loaded>
    </>
  );
}
