import { useState } from 'react';
import { Group, Stack, Text } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Backup, Cluster } from '~/api/schema';
import { allBackupsQuery, backupKind } from '~/features/backups';
import { engineTitle } from '~/features/clusters';
import { serverNow, useNow } from '~/shared/lib/now';
import { useTitle } from '~/shared/lib/title';
import { DataTable, type Column } from '~/shared/ui/DataTable';
import { EmptyState } from '~/shared/ui/EmptyState';
import { ActError } from '~/shared/ui/ErrorCard';
import { Loaded } from '~/shared/ui/Loaded';
import { PageHead } from '~/shared/ui/PageHead';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Bytes } from '~/shared/ui/Bytes';
import { Time, Unknown } from '~/shared/ui/Time';
import { backupsOf, goneIn, inBin } from '../model';
import { deletedClustersQuery, goingBackupsQuery, useKeep } from '../queries';
import { BringBackDialog } from './BringBackDialog';
import { PurgeDialog } from './PurgeDialog';

type Asked = { what: 'back' | 'purge'; cluster: Cluster };

/** What was deleted and can be brought back. */
export function BinPage() {
  const { project } = useParams({ from: '/shell/p/$project/bin' });
  useTitle('Recycle bin', project);
  useNow(60_000);
  const query = useQuery(deletedClustersQuery(project));
  const { data: going } = useQuery(goingBackupsQuery(project));
  const { data: pages } = useInfiniteQuery(allBackupsQuery(project));
  const known = pages?.pages.flatMap((p) => p.items) ?? [];
  const [asked, setAsked] = useState<Asked>();
  const waiting = (going?.items ?? []).filter((b) => b.deleting_until);
  const acts = (c: Cluster) => (
    <Group gap="sm" wrap="nowrap" justify="flex-end">
      <ActButton needs="owner" variant="default" size="compact-sm" onClick={() => setAsked({ what: 'back', cluster: c })} aria-label={`Bring back…, ${c.name}`}>
        Bring back…
      </ActButton>
      <ActButton needs="owner" variant="subtle" color="danger" size="compact-sm" onClick={() => setAsked({ what: 'purge', cluster: c })} aria-label={`Delete for good…, ${c.name}`}>
        Delete for good…
      </ActButton>
    </Group>
  );
  return (
    <>
      <PageHead title="Recycle bin" />
      <Loaded query={query} things="the recycle bin">
        {({ items }) => {
          const deleted = inBin(items);
          return deleted.length === 0 && waiting.length === 0 ? (
            <EmptyState>The recycle bin is empty. Deleted clusters stay here for 15 days.</EmptyState>
          ) : (
            <Stack gap="lg">
              {deleted.length > 0 ? (
                <DataTable
                  caption="Deleted clusters"
                  table="bin"
                  rows={deleted}
                  columns={[...clusterColumns(known), { id: 'acts', head: 'Actions', cell: acts }]}
                  id={(c) => c.id}
                  name={(c) => c.name}
                  card={(c) => (
                    <Stack gap={4}>
                      <Text fw={500}>{c.name}</Text>
                      <Text size="sm" c="dimmed" component="div">
                        {engineTitle(c.engine, c.version)} · {c.deleted_until ? 'gone ' : null}
                        <Gone until={c.deleted_until} />
                      </Text>
                      {acts(c)}
                    </Stack>
                  )}
                />
              ) : null}
              {waiting.length > 0 ? <Backups project={project} backups={waiting} /> : null}
            </Stack>
          );
        }}
      </Loaded>
      {asked?.what === 'back' ? <BringBackDialog project={project} cluster={asked.cluster} backups={backupsOf(asked.cluster, known)} onClose={() => setAsked(undefined)} /> : null}
      {asked?.what === 'purge' ? <PurgeDialog project={project} cluster={asked.cluster} backups={backupsOf(asked.cluster, known)} onClose={() => setAsked(undefined)} /> : null}
    </>
  );
}

function Gone({ until }: { until: string | null | undefined }) {
  const { text, tone } = goneIn(until, serverNow());
  return tone === 'idle' ? <>{text}</> : <Sentence tone={tone}>{text}</Sentence>;
}

function clusterColumns(known: readonly Backup[]): Column<Cluster>[] {
  return [
    { id: 'name', head: 'Cluster', cell: (c) => c.name },
    { id: 'engine', head: 'Engine', cell: (c) => engineTitle(c.engine, c.version) },
    { id: 'deleted', head: 'Deleted', cell: (c) => <Time at={c.deleted_at} /> },
    { id: 'to', head: 'Newest backup', cell: (c) => <Time at={c.recoverability.to} none="No good backup is left" /> },
    { id: 'data', head: 'Data', number: true, cell: (c) => <Bytes value={backupsOf(c, known)[0]?.data_bytes} /> },
    { id: 'kept', head: 'Backups kept', number: true, cell: (c) => backupsOf(c, known).length || <Unknown why="None is known" /> },
    { id: 'gone', head: 'Gone', cell: (c) => <Gone until={c.deleted_until} /> },
  ];
}

function Backups({ project, backups }: { project: string; backups: readonly Backup[] }) {
  const keep = useKeep(project);
  const act = (b: Backup) => (
    <ActButton needs="operator" variant="default" size="compact-sm" loading={keep.isPending && keep.variables === b.id} onClick={() => keep.mutate(b.id)} aria-label={`Keep it, ${b.id}`}>
      Keep it
    </ActButton>
  );
  return (
    <section aria-label="Backups being deleted">
      <Text component="h2" fz="lg" fw={600} mb="sm">
        Backups being deleted
      </Text>
      <ActError error={keep.error} />
      <DataTable
        caption="Backups being deleted"
        table="bin-backups"
        rows={backups}
        columns={[
          { id: 'cluster', head: 'Cluster', cell: (b) => b.cluster },
          { id: 'taken', head: 'Taken', cell: (b) => <Time at={b.created_at} /> },
          { id: 'kind', head: 'Kind', cell: (b) => backupKind(b.kind) },
          { id: 'data', head: 'Data', number: true, cell: (b) => <Bytes value={b.data_bytes} /> },
          { id: 'gone', head: 'Gone', cell: (b) => <Gone until={b.deleting_until} /> },
          { id: 'keep', head: 'Actions', cell: act },
        ]}
        id={(b) => b.id}
        name={(b) => b.id}
        card={(b) => (
          <Group justify="space-between" gap="sm">
            <span>
              {b.cluster}, <Time at={b.created_at} />
            </span>
            {act(b)}
          </Group>
        )}
      />
    </section>
  );
}
