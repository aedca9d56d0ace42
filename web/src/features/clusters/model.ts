import type { Cluster, Mode } from '~/api/schema';
import { recoverability, type Said } from '~/shared/lib/recoverability';
import { lookOf, trouble, type Tone } from '~/shared/lib/statuses';
import type { Clock } from '~/shared/lib/time';
import type { ClustersSearch } from '~/search';

/** Names of engines as people write them; what is not listed is shown as it is called. */
const engines: Record<string, string> = {
  postgres: 'PostgreSQL',
  timescaledb: 'TimescaleDB',
  hydra: 'Hydra',
  mysql: 'MySQL',
  mariadb: 'MariaDB',
  redis: 'Redis',
  valkey: 'Valkey',
  keydb: 'KeyDB',
  dragonfly: 'Dragonfly',
  clickhouse: 'ClickHouse',
  rabbitmq: 'RabbitMQ',
  keycloak: 'Keycloak',
  rke2: 'RKE2',
  camunda: 'Camunda',
};

export function engineTitle(name: string, version?: string): string {
  const title = Object.hasOwn(engines, name) ? engines[name] : name;
  return version ? `${title} ${version}` : `${title}`;
}

const modes: Record<string, string> = {
  single: 'single',
  'primary-replica': 'primary and replicas',
  'multi-primary': 'several primaries',
  sharded: 'sharded',
  replicated: 'replicated',
};

export const modeTitle = (mode: Mode | string): string => (Object.hasOwn(modes, mode) ? (modes[mode] ?? mode) : mode);

/** When anything of it was last heard of. */
export function heardAt(c: Cluster): number | undefined {
  const times = c.nodes.map((n) => Date.parse(n.observed_at)).filter((t) => !Number.isNaN(t));
  return times.length > 0 ? Math.max(...times) : undefined;
}

export function recoverabilityOf(c: Cluster, now: number, clock: Clock = {}): Said {
  const context = { alerts: c.alerts ?? [], heardAt: heardAt(c), unreachable: c.status === 'unreachable' };
  return recoverability(c.recoverability, now, context, clock);
}

export const toneOf = (c: Cluster): Tone => lookOf('cluster', c.status).tone;

/** Bad, warning or unknown, by its status or by an alert that holds. */
export function needsAttention(c: Cluster): boolean {
  return ['bad', 'warn', 'unknown'].includes(toneOf(c)) || (c.alerts ?? []).some((a) => a.state !== 'cleared');
}

/** Trouble first, then by name. */
export function byTrouble(a: Cluster, b: Cluster): number {
  return Number(needsAttention(b)) - Number(needsAttention(a)) || trouble(toneOf(a)) - trouble(toneOf(b)) || a.name.localeCompare(b.name);
}

export function filtered(all: readonly Cluster[], search: ClustersSearch): Cluster[] {
  const q = search.q?.toLowerCase();
  return all.filter(
    (c) =>
      (!q || `${c.name} ${engineTitle(c.engine, c.version)} ${c.status_reason ?? ''} ${c.nodes.map((n) => n.name).join(' ')}`.toLowerCase().includes(q)) &&
      (!search.status || c.status === search.status) &&
      (!search.engine || c.engine === search.engine) &&
      (search.only !== 'attention' || needsAttention(c)) &&
      (search.only !== 'unrecoverable' || !c.recoverability.to),
  );
}

/** "3 nodes running", "2 nodes running, 1 seeding". */
export function nodesSentence(c: Cluster): string {
  if (c.nodes.length === 0) return 'No nodes yet';
  const counts = new Map<string, number>();
  for (const n of c.nodes) counts.set(n.status, (counts.get(n.status) ?? 0) + 1);
  return [...counts].map(([status, n], i) => `${n}${i === 0 ? (n === 1 ? ' node' : ' nodes') : ''} ${lookOf('node', status).word.toLowerCase()}`).join(', ');
}

/** Why it cannot be stopped or deleted, where it cannot. */
export function protection(c: Cluster): string | undefined {
  return c.protected ? `${c.name} is protected. Turn off termination protection first.` : undefined;
}
