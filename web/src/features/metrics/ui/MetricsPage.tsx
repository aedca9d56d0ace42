import { useState } from 'react';
import { Button, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import type { Curves } from '~/api/schema';
import { clusterQuery } from '~/features/clusters';
import { useTitle } from '~/shared/lib/title';
import { Chart } from '~/shared/ui/Chart';
import { LineMark } from '~/shared/ui/LineMark';
import { Loaded } from '~/shared/ui/Loaded';
import { Sentence } from '~/shared/ui/Sentence';
import { Time } from '~/shared/ui/Time';
import { clean, type MetricsSearch } from '~/search';
import { metrics, sentence, seriesOf, silentSince, toFull } from '../model';
import { useCurves, type Range } from '../queries';
import { Numbers } from './Numbers';
import classes from './MetricsPage.module.css';

const ranges: readonly { range: Range; label: string }[] = [
  { range: '15m', label: '15 min' },
  { range: '1h', label: '1 h' },
];

/** What is it doing? */
export function MetricsPage() {
  const { project, cluster: name } = useParams({ from: '/shell/p/$project/clusters/$cluster/metrics' });
  const search = useSearch({ from: '/shell/p/$project/clusters/$cluster/metrics' });
  const navigate = useNavigate({ from: '/p/$project/clusters/$cluster/metrics' });
  useTitle(name, 'Metrics');
  const { data: cluster } = useQuery(clusterQuery(project, name));
  const range = search.range ?? '1h';
  const query = useCurves(project, name, range);
  const change = (part: Partial<MetricsSearch>) => void navigate({ search: (before) => clean({ ...before, ...part }), replace: true });
  return (
    <Loaded query={query} things="the measurements">
      {(curves) => <Charts key={cluster?.id} curves={curves} sync={cluster?.id ?? name} range={range} left={search.without ?? []} change={change} />}
    </Loaded>
  );
}

interface Props {
  curves: Curves;
  sync: string;
  range: Range;
  /** Nodes that are not drawn. */
  left: readonly string[];
  change: (part: Partial<MetricsSearch>) => void;
}

function Charts({ curves, sync, range, left, change }: Props) {
  const [table, setTable] = useState(false);
  const nodes = curves.nodes.map((node, index) => ({ node, index }));
  const drawn = nodes.filter(({ node }) => !left.includes(node.name));
  const silent = curves.nodes.flatMap((node) => {
    const found = silentSince(curves, node);
    return found ? [{ node, since: found.since }] : [];
  });
  const nothing = silent.length === curves.nodes.length && silent.every((s) => s.since === undefined);
  const toggle = (name: string) => {
    const next = left.includes(name) ? left.filter((n) => n !== name) : [...left, name];
    change({ without: next.length > 0 && next.length < curves.nodes.length ? next : undefined });
  };
  return (
    <Stack gap="md">
      <Group justify="space-between" gap="sm">
        <Group gap="md">
          <Button.Group aria-label="How far back">
            {ranges.map((r) => (
              <Button key={r.range} variant="default" size="xs" aria-pressed={range === r.range} bg={range === r.range ? 'var(--ms-selected)' : undefined} onClick={() => change({ range: r.range === '1h' ? undefined : r.range })}>
                {r.label}
              </Button>
            ))}
          </Button.Group>
          <Group gap={4} role="group" aria-label="Nodes">
            {nodes.map(({ node, index }) => (
              <Button key={node.id} variant="default" size="xs" aria-pressed={!left.includes(node.name)} leftSection={<LineMark index={index} />} onClick={() => toggle(node.name)} data-left={left.includes(node.name) || undefined} className={classes.node}>
                {node.name}
              </Button>
            ))}
          </Group>
        </Group>
        <Group gap="md">
          <Text size="sm" c="dimmed">
            Live, each 5 s
          </Text>
          <Button variant="default" size="xs" aria-pressed={table} onClick={() => setTable(!table)}>
            Table
          </Button>
        </Group>
      </Group>
      {nothing ? (
        <Text c="dimmed">No measurements yet. The first appear within 15 s.</Text>
      ) : (
        silent.map(({ node, since }) => (
          <Sentence key={node.id} tone="unknown">
            No data from {node.name}
            {since === undefined ? '' : ' since '}
            {since === undefined ? null : <Time at={since * 1000} as="seconds" />}.
          </Sentence>
        ))
      )}
      {table ? <Numbers curves={curves} nodes={drawn.map((d) => d.node)} /> : null}
      <div className={classes.grid}>
        {metrics.map((m) => {
          const shown = drawn.filter(({ node }) => !m.replicas || node.role !== 'primary');
          if (shown.length === 0) return null;
          const of = shown.map((s) => s.node);
          const full = m.name === 'disk_percent' ? toFull(of) : undefined;
          return (
            <Chart
              key={m.name}
              title={full ? `${m.title} · ${full}` : m.title}
              lines={shown.map(({ node, index }) => ({ label: node.name, index }))}
              data={seriesOf(curves, m.name, of)}
              format={m.format}
              max={m.max}
              least={m.least}
              sync={sync}
              sentence={sentence(m, curves, of)}
            />
          );
        })}
      </div>
    </Stack>
  );
}
