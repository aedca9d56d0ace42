import { useEffect, useReducer } from 'react';
import { Group, Stack, Table, Text } from '@mantine/core';
import { useQueries, useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Cluster } from '~/api/schema';
import { clusterQuery } from '~/features/clusters';
import { nodeMetricsQuery } from '~/features/nodes';
import { bytes, percent } from '~/shared/lib/bytes';
import { duration } from '~/shared/lib/time';
import { useTitle } from '~/shared/lib/title';
import { Chart } from '~/shared/ui/Chart';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { join, Ring, sample, summary, type Metric } from '../model';
import classes from './MetricsPage.module.css';

const number = (n: number) => `${Math.round(n * 10) / 10}`;

const metrics: { metric: Metric; title: string; format: (n: number) => string; max?: number; least?: number; replicas?: true }[] = [
  { metric: 'cpu', title: 'CPU', format: percent, least: 5 },
  { metric: 'memory', title: 'Memory', format: bytes, least: 1000 },
  { metric: 'disk', title: 'Disk used', format: percent, max: 100 },
  { metric: 'connections', title: 'Connections', format: number, least: 10 },
  { metric: 'lag_bytes', title: 'Replication lag, bytes', format: bytes, least: 1000, replicas: true },
  { metric: 'lag_seconds', title: 'Replication lag, seconds', format: duration, least: 10, replicas: true },
];

/** Measurements of this visit, by node: no server keeps them yet. */
const rings = new Map<string, Ring>();

/** What is it doing? */
export function MetricsPage() {
  const { project, cluster: name } = useParams({ from: '/shell/p/$project/clusters/$cluster/metrics' });
  useTitle(name, 'Metrics');
  const { data: cluster } = useQuery(clusterQuery(project, name));
  if (!cluster) return <Waiting />;
  return <Charts project={project} cluster={cluster} />;
}

function Charts({ project, cluster }: { project: string; cluster: Cluster }) {
  useLooks(project, cluster);
  const nodes = cluster.nodes.map((node, index) => ({ node, index, ring: rings.get(node.id) ?? new Ring() }));
  const silent = nodes.filter(({ ring }) => ring.length === 0);
  if (nodes.every(({ ring }) => ring.length === 0)) {
    return (
      <Stack gap="md">
        <Waiting />
        <Text c="dimmed">No measurements yet. The first appear within 15 s.</Text>
      </Stack>
    );
  }
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          Since this page was opened, 15 min at most, a look each 5 s.
        </Text>
      </Group>
      {silent.map(({ node }) => (
        <Sentence key={node.id} tone="unknown">
          No data from {node.name}.
        </Sentence>
      ))}
      <div className={classes.grid}>
        {metrics.map(({ metric, title, format, max, least, replicas }) => {
          const shown = nodes.filter(({ node }) => !replicas || node.role !== 'primary');
          if (shown.length === 0) return null;
          const series = shown.map(({ ring }) => ring.series(metric));
          const said = shown.map(({ node }, i) => {
            const s = summary(series[i] ?? { x: [], y: [] });
            return `${node.name} now ${s.now === null ? 'not known' : format(s.now)}, highest ${s.highest === null ? 'not known' : format(s.highest)}`;
          });
          return (
            <Chart
              key={metric}
              title={title}
              lines={shown.map(({ node, index }) => ({ label: node.name, index }))}
              data={join(series)}
              format={format}
              max={max}
              least={least}
              sync={cluster.id}
              sentence={`${title} of ${shown.length} ${shown.length === 1 ? 'node' : 'nodes'}: ${said.join('; ')}.`}
            />
          );
        })}
      </div>
      <details>
        <summary>The last values as a table</summary>
        <Numbers nodes={nodes} />
      </details>
    </Stack>
  );
}

function Numbers({ nodes }: { nodes: { node: Cluster['nodes'][number]; ring: Ring }[] }) {
  return (
    <Table aria-label="Last values">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Node</Table.Th>
          {metrics.map((m) => (
            <Table.Th key={m.metric}>{m.title}</Table.Th>
          ))}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {nodes.map(({ node, ring }) => (
          <Table.Tr key={node.id}>
            <Table.Td>{node.name}</Table.Td>
            {metrics.map((m) => {
              const { now } = summary(ring.series(m.metric));
              return <Table.Td key={m.metric}>{now === null ? '–' : m.format(now)}</Table.Td>;
            })}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/** Looks at each node every five seconds and keeps what it says. */
function useLooks(project: string, cluster: Cluster) {
  const [, drawn] = useReducer((n: number) => n + 1, 0);
  const looks = useQueries({ queries: cluster.nodes.map((n) => nodeMetricsQuery(project, cluster.name, n.name)) });
  const stamp = looks.map((l) => l.data?.at ?? 0).join();
  useEffect(() => {
    looks.forEach((look, i) => {
      const node = cluster.nodes[i];
      if (!look.data || !node) return;
      const ring = rings.get(node.id) ?? new Ring();
      rings.set(node.id, ring);
      ring.push(sample(look.data.at, look.data.now, node));
    });
    drawn();
    // New looks are what counts.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [stamp]);
}
