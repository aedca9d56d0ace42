import { Anchor, Button, Group, Stack, TextInput, UnstyledButton } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo, useRef, useState } from 'react';
import type { Cluster } from '~/api/schema';
import { useKeys } from '~/shared/lib/hotkeys';
import { useMay, useStanding } from '~/shared/lib/role';
import { lookOf } from '~/shared/lib/statuses';
import { useTitle } from '~/shared/lib/title';
import { FilterMenu } from '~/shared/ui/FilterMenu';
import { DataTable } from '~/shared/ui/DataTable';
import { EmptyState } from '~/shared/ui/EmptyState';
import { ErrorCard } from '~/shared/ui/ErrorCard';
import { PageHead } from '~/shared/ui/PageHead';
import { ActButton } from '~/shared/ui/RoleGate';
import { RowsSkeleton, Waiting } from '~/shared/ui/Skeletons';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { clean, sortOf, sortText, type ClustersSearch } from '~/search';
import { byTrouble, engineTitle, filtered, needsAttention } from '../model';
import { clustersQuery } from '../queries';
import { clusterColumns, RecoverableTo } from './clusterColumns';
import { useClusterMenu } from './useClusterMenu';
import classes from './ClusterList.module.css';

/** Which of them needs me? */
export function ClusterList() {
  const { project } = useParams({ from: '/shell/p/$project/clusters' });
  useTitle('Clusters', project);
  const query = useQuery(clustersQuery(project));
  const clusters = query.data?.items;
  return (
    <>
      <PageHead title="Clusters" count={clusters?.length}>
        {clusters && clusters.length > 0 ? <CreateButton project={project} /> : null}
      </PageHead>
      {query.isPending ? (
        <Waiting>
          <RowsSkeleton />
        </Waiting>
      ) : query.isError && !clusters ? (
        <ErrorCard error={query.error} things="the clusters" retry={() => void query.refetch()} />
      ) : clusters?.length === 0 ? (
        <NoClusters project={project} />
      ) : (
        <List project={project} clusters={clusters ?? []} />
      )}
    </>
  );
}

function CreateButton({ project }: { project: string }) {
  const navigate = useNavigate();
  return (
    <ActButton needs="admin" leftSection={<IconPlus size={16} stroke={1.75} />} onClick={() => void navigate({ to: '/p/$project/clusters/new', params: { project } })}>
      Create cluster
    </ActButton>
  );
}

function NoClusters({ project }: { project: string }) {
  const may = useMay('admin');
  const { role } = useStanding();
  if (!may) return <EmptyState>No clusters in {project} yet. Someone with the role admin can create one; yours is {role}.</EmptyState>;
  return (
    <EmptyState action={<CreateButton project={project} />}>
      No clusters yet. A cluster is a database that Mainstay runs, watches and backs up. It takes about a minute.
    </EmptyState>
  );
}

function List({ project, clusters }: { project: string; clusters: readonly Cluster[] }) {
  const search = useSearch({ from: '/shell/p/$project/clusters' });
  const navigate = useNavigate({ from: '/p/$project/clusters' });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const { menu, dialogs, backUpAll } = useClusterMenu(project);
  const rows = useMemo(() => filtered(clusters, search), [clusters, search]);
  const change = (part: Partial<ClustersSearch>) => void navigate({ search: (before) => clean({ ...before, ...part }), replace: true });
  const open = (c: Cluster) => void navigate({ to: '/p/$project/clusters/$cluster', params: { project, cluster: c.name } });
  const link = useCallback(
    (c: Cluster) => (
      <Anchor fw={500} renderRoot={(props) => <Link to="/p/$project/clusters/$cluster" params={{ project, cluster: c.name }} {...props} />}>
        {c.name}
      </Anchor>
    ),
    [project],
  );
  const columns = useMemo(() => clusterColumns(link), [link]);
  return (
    <Stack gap="sm">
      <Filters clusters={clusters} search={search} change={change} />
      {chosen.size > 0 ? (
        <Group gap="sm">
          <ActButton
            needs="operator"
            variant="default"
            onClick={() => {
              backUpAll(clusters.filter((c) => chosen.has(c.id)));
              setChosen(new Set());
            }}
          >
            Back up {chosen.size} now
          </ActButton>
          <Button variant="subtle" onClick={() => setChosen(new Set())}>
            Choose none
          </Button>
        </Group>
      ) : null}
      {rows.length === 0 ? (
        <EmptyState
          action={
            <Button variant="default" onClick={() => void navigate({ search: {} })}>
              Clear filters
            </Button>
          }
        >
          No clusters match these filters.
        </EmptyState>
      ) : (
        <DataTable
          caption="Clusters"
          table="clusters"
          rows={rows}
          columns={columns}
          id={(c) => c.id}
          name={(c) => c.name}
          onOpen={open}
          menu={menu}
          sort={sortOf(search.sort)}
          onSort={(sort) => change({ sort: sortText(sort) })}
          order={byTrouble}
          flashOn={(c) => c.status}
          chosen={chosen}
          onChoose={setChosen}
          card={(c) => (
            <>
              <Group justify="space-between" wrap="nowrap" gap="sm">
                {link(c)}
                <StatusBadge noun="cluster" status={c.status} />
              </Group>
              <span>
                {c.recoverability.to ? 'Recoverable to ' : ''}
                <RecoverableTo cluster={c} />
              </span>
            </>
          )}
        />
      )}
      {dialogs}
    </Stack>
  );
}

interface FiltersProps {
  clusters: readonly Cluster[];
  search: ClustersSearch;
  change: (part: Partial<ClustersSearch>) => void;
}

function Filters({ clusters, search, change }: FiltersProps) {
  const input = useRef<HTMLInputElement>(null);
  useKeys({ f: () => input.current?.focus() });
  const attention = clusters.filter(needsAttention).length;
  const unique = (of: (c: Cluster) => string) => [...new Set(clusters.map(of))].toSorted();
  const chip = (only: ClustersSearch['only'], text: string) => (
    <UnstyledButton className={classes.chip} aria-pressed={search.only === only} onClick={() => change({ only: search.only === only ? undefined : only })}>
      {text}
    </UnstyledButton>
  );
  return (
    <Group gap="sm" className={classes.filters}>
      {attention > 0 || search.only === 'attention' ? chip('attention', `${attention} ${attention === 1 ? 'needs' : 'need'} attention`) : null}
      <TextInput
        ref={input}
        className={classes.text}
        aria-label="Filter by name or text"
        placeholder="Filter by name or text"
        value={search.q ?? ''}
        onChange={(event) => change({ q: event.currentTarget.value || undefined })}
      />
      <FilterMenu
        label="Status"
        value={search.status}
        options={unique((c) => c.status).map((s) => ({ value: s, label: lookOf('cluster', s).word }))}
        onChange={(status) => change({ status })}
      />
      <FilterMenu
        label="Engine"
        value={search.engine}
        options={unique((c) => c.engine).map((e) => ({ value: e, label: engineTitle(e) }))}
        onChange={(engine) => change({ engine })}
      />
      {chip('unrecoverable', 'Not recoverable')}
    </Group>
  );
}
