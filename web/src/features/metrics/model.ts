import type { Curves, NodeCurves } from '~/api/schema';
import { bytes, percent } from '~/shared/lib/bytes';
import { duration } from '~/shared/lib/time';

/** Values over time, on one axis: unknown is `null`, which is drawn as a gap and never as a zero. */
export interface Series {
  /** Seconds since 1970. */
  t: readonly number[];
  series: Readonly<Record<string, readonly (number | null)[]>>;
}

export interface Metric {
  name: string;
  title: string;
  format: (n: number) => string;
  max?: number;
  /** The least top: what is tiny is not drawn as if it were much. */
  least?: number;
  /** The primary follows nobody. */
  replicas?: true;
}

const number = (n: number) => `${Math.round(n * 10) / 10}`;
const pace = (n: number) => `${bytes(n)}/s`;

export const metrics: readonly Metric[] = [
  { name: 'cpu_percent', title: 'CPU', format: percent, max: 100 },
  { name: 'memory_bytes', title: 'Memory', format: bytes, least: 1000 },
  { name: 'disk_percent', title: 'Disk used', format: percent, max: 100 },
  { name: 'connections', title: 'Connections', format: number, least: 10 },
  { name: 'disk_read_bytes_per_second', title: 'Disk read', format: pace, least: 1000 },
  { name: 'disk_written_bytes_per_second', title: 'Disk written', format: pace, least: 1000 },
  { name: 'lag_bytes', title: 'Replication lag, bytes', format: bytes, least: 1000, replicas: true },
  { name: 'lag_seconds', title: 'Replication lag, seconds', format: duration, least: 10, replicas: true },
];

/** One metric of some nodes, by the nodes' names. */
export function seriesOf(curves: Curves, metric: string, nodes: readonly NodeCurves[]): Series {
  const none = curves.times.map(() => null);
  return { t: curves.times, series: Object.fromEntries(nodes.map((n) => [n.name, n.series[metric] ?? none])) };
}

/** How long a value counts as that of now. */
const FRESH = 30;

/** The newest value, where one is younger than half a minute; a piece that has just begun has none yet. */
export function latest(curves: Curves, node: NodeCurves | undefined, metric: string): number | null {
  const values = node?.series[metric] ?? [];
  const end = curves.times.at(-1) ?? 0;
  for (let i = values.length - 1; i >= 0 && end - (curves.times[i] ?? 0) <= FRESH; i -= 1) {
    const value = values[i];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** Since when nothing is known of a node; nothing where something is. */
export function silentSince(curves: Curves, node: NodeCurves): { since?: number } | undefined {
  const known = (i: number) => Object.values(node.series).some((values) => values[i] !== null && values[i] !== undefined);
  let last = curves.times.length - 1;
  while (last >= 0 && !known(last)) last -= 1;
  if (last < 0) return {};
  const since = curves.times[last] ?? 0;
  return (curves.times.at(-1) ?? 0) - since > FRESH ? { since } : undefined;
}

export interface Summary {
  now: number | null;
  highest: number | null;
  at?: number;
}

export function summary(curves: Curves, node: NodeCurves, metric: string): Summary {
  let highest: number | null = null;
  let at: number | undefined;
  (node.series[metric] ?? []).forEach((v, i) => {
    if (v !== null && (highest === null || v > highest)) [highest, at] = [v, curves.times[i]];
  });
  return { now: latest(curves, node, metric), highest, at };
}

/** "61 days to full"; nothing where a disk is not filling. */
export function toFull(nodes: readonly NodeCurves[]): string | undefined {
  const days = nodes.map((n) => n.days_to_full).filter((d): d is number => d !== null && d !== undefined);
  if (days.length === 0) return undefined;
  const least = Math.min(...days);
  return least < 1 ? 'less than a day to full' : `${Math.floor(least)} ${Math.floor(least) === 1 ? 'day' : 'days'} to full`;
}

/** What a chart shows, for who does not see it. */
export function sentence(m: Metric, curves: Curves, nodes: readonly NodeCurves[]): string {
  const said = nodes.map((node) => {
    const s = summary(curves, node, m.name);
    const of = (n: number | null) => (n === null ? 'not known' : m.format(n));
    return `${node.name} now ${of(s.now)}, highest ${of(s.highest)}`;
  });
  return `${m.title} of ${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}: ${said.join('; ')}.`;
}
