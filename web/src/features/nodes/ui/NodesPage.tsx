import type { ReactNode } from 'react';
import { Button, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import type { Cluster, Node } from '~/api/schema';
import { clusterQuery, useDialog } from '~/features/clusters';
import { latest, useCurves } from '~/features/metrics';
import { percent } from '~/shared/lib/bytes';
import { useKeys } from '~/shared/lib/hotkeys';
import { lookOf, trouble } from '~/shared/lib/statuses';
import { useTitle } from '~/shared/lib/title';
import { useMay } from '~/shared/lib/role';
import { DataTable, type Column, type MenuItem } from '~/shared/ui/DataTable';
import { Lag } from '~/shared/ui/Lag';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Time, Unknown } from '~/shared/ui/Time';
import { clean, sortOf, sortText } from '~/search';
import { removeBlocked, together } from '../model';
import { NodeDrawer } from './NodeDrawer';
import { Topology } from './Topology';
import classes from './NodesPage.module.css';

/** Who is who, and how far behind? */
export function NodesPage() {
  const { project, cluster: name } = useParams({ from: '/shell/p/$project/clusters/$cluster/nodes' });
  const search = useSearch({ from: '/shell/p/$project/clusters/$cluster/nodes' });
  const navigate = useNavigate({ from: '/p/$project/clusters/$cluster/nodes' });
  const { data: cluster } = useQuery(clusterQuery(project, name));
  const open = useDialog();
  useTitle(name, 'Nodes');
  const change = (part: typeof search, replace = true) => void navigate({ search: (before) => clean({ ...before, ...part }), replace });
  const flip = () => change({ view: search.view ? undefined : 'topology' });
  useKeys({ e: flip });
  const measure = (node: string) => void navigate({ to: '/p/$project/clusters/$cluster/metrics', params: { project, cluster: name }, search: clean({ without: cluster?.nodes.map((n) => n.name).filter((n) => n !== node) }) });
  const menu = useNodeMenu(cluster, (node) => change({ node }, false), measure);
  const { data: curves } = useCurves(project, name);
  const measured: Measured = (n, metric) => (curves ? latest(curves, curves.nodes.find((c) => c.id === n.id), metric) : null);
  if (!cluster) return null;
  const show = (n: Node) => change({ node: n.name }, false);
  const link = (n: Node) => (
    <Link from="/p/$project/clusters/$cluster/nodes" to="." search={(before) => ({ ...before, node: n.name })} className={classes.name}>
      {n.name}
    </Link>
  );
  const lost = together(cluster);
  return (
    <Stack gap="md">
      <Group justify="space-between" gap="sm">
        <Button.Group>
          <Button variant="default" size="xs" aria-pressed={!search.view} onClick={() => change({ view: undefined })} bg={search.view ? undefined : 'var(--ms-selected)'}>
            Table
          </Button>
          <Button variant="default" size="xs" aria-pressed={search.view === 'topology'} onClick={() => change({ view: 'topology' })} bg={search.view ? 'var(--ms-selected)' : undefined}>
            Topology
          </Button>
        </Button.Group>
        <ActButton needs="admin" variant="default" blocked={cluster.nodes.length < 2 && 'Needs a primary and another node.'} onClick={() => open({ what: 'resync' })}>
          Resync…
        </ActButton>
      </Group>
      {cluster.nodes.length === 1 ? (
        <Sentence tone="warn" banner>
          One node: if its host is lost, the newest backup is all there is.
        </Sentence>
      ) : lost ? (
        <Sentence tone="warn" banner>
          {lost}
        </Sentence>
      ) : null}
      {search.view === 'topology' ? (
        <Topology cluster={cluster} onOpen={show} />
      ) : (
        <DataTable
          caption={`Nodes of ${cluster.name}`}
          table="nodes"
          rows={[...cluster.nodes]}
          columns={columns(link, measured)}
          id={(n) => n.id}
          name={(n) => n.name}
          onOpen={show}
          menu={menu}
          sort={sortOf(search.sort)}
          onSort={(sort) => change({ sort: sortText(sort) })}
          flashOn={(n) => `${n.status} ${n.role}`}
          card={(n) => (
            <>
              <Group justify="space-between" wrap="nowrap" gap="sm">
                {link(n)}
                <StatusBadge noun="node" status={n.status} />
              </Group>
              <Text size="sm" c="dimmed">
                {n.role === 'primary' ? 'Primary' : 'Replica'} · {n.role === 'primary' ? n.host : <Lag node={n} />}
              </Text>
            </>
          )}
        />
      )}
      <NodeDrawer project={project} cluster={cluster} name={search.node} onClose={() => change({ node: undefined })} />
    </Stack>
  );
}

/** What a node uses of its machine, as last measured. */
type Measured = (n: Node, metric: string) => number | null;

function columns(link: (n: Node) => ReactNode, measured: Measured): Column<Node>[] {
  const used = (n: Node, metric: string) => {
    const value = measured(n, metric);
    return value === null ? <Unknown why="No measurement yet" /> : percent(value);
  };
  return [
    { id: 'name', head: 'Name', width: 140, sort: (n) => n.name, cell: link },
    { id: 'role', head: 'Role', sort: (n) => n.role, cell: (n) => (n.role === 'primary' ? 'Primary' : 'Replica') },
    {
      id: 'status',
      head: 'Status',
      width: 140,
      sort: (n) => trouble(lookOf('node', n.status).tone),
      cell: (n) => (
        <>
          <StatusBadge noun="node" status={n.status} observedAt={n.observed_at} />
          {n.status_reason ? <span className={classes.reason}>{n.status_reason}</span> : null}
        </>
      ),
    },
    { id: 'lag', head: 'Lag', number: true, sort: (n) => n.lag_bytes, cell: (n) => <Lag node={n} /> },
    { id: 'host', head: 'Host', sort: (n) => n.host, cell: (n) => n.host },
    { id: 'address', head: 'Address', cell: (n) => <code>{`${n.address}:${n.port}`}</code> },
    { id: 'cpu', head: 'CPU', number: true, sort: (n) => measured(n, 'cpu_percent'), cell: (n) => used(n, 'cpu_percent') },
    { id: 'memory', head: 'Memory', number: true, sort: (n) => measured(n, 'memory_percent'), cell: (n) => used(n, 'memory_percent') },
    { id: 'disk', head: 'Disk', number: true, sort: (n) => measured(n, 'disk_percent'), cell: (n) => used(n, 'disk_percent') },
    { id: 'connections', head: 'Connections', number: true, sort: (n) => n.connections, cell: (n) => n.connections ?? <Unknown why="No news of it" /> },
    { id: 'age', head: 'Made', sort: (n) => n.created_at, cell: (n) => <Time at={n.created_at} as="age" /> },
  ];
}

function useNodeMenu(cluster: Cluster | undefined, show: (node: string) => void, measure: (node: string) => void) {
  const open = useDialog();
  const [operator, admin] = [useMay('operator'), useMay('admin')];
  return (n: Node): MenuItem[] => {
    if (!cluster) return [];
    const items: (MenuItem | false)[] = [
      { label: 'Logs', onClick: () => show(n.name) },
      { label: 'Metrics', onClick: () => measure(n.name) },
      admin && {
        label: 'Promote…',
        divided: true,
        blocked: n.role === 'primary' ? 'It is the primary already.' : n.status === 'running' ? undefined : `It is ${lookOf('node', n.status).word.toLowerCase()}.`,
        onClick: () => open({ what: 'promote', node: n.name }),
      },
      operator && { label: 'Reboot…', onClick: () => open({ what: 'reboot', node: n.name }) },
      admin && { label: 'Remove…', danger: true, blocked: removeBlocked(cluster, n), onClick: () => open({ what: 'remove', node: n.name }) },
    ];
    return items.filter((i) => i !== false);
  };
}
