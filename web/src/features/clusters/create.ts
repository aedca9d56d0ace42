import type { CreateCluster, EngineEntry, Mode, SizePlan } from '~/api/schema';
import { bytes, count } from '~/shared/lib/bytes';
import type { CreateSearch } from '~/search';

export const NAME = /^[a-z][a-z0-9-]{1,38}[a-z0-9]$/;

/** Why the name cannot be, or nothing. */
export function nameFault(name: string, taken: readonly string[], project: string): string | undefined {
  if (!NAME.test(name)) return 'Use 3 to 40 characters: a-z, 0-9 and -, starting with a letter and not ending with -.';
  return taken.includes(name) ? `${name} exists in ${project} already.` : undefined;
}

export interface Choice {
  engine: EngineEntry;
  version: string;
  mode: Mode;
  replicas: number;
}

/** What the address says, with what there is for the rest. */
export function chosen(search: CreateSearch, engines: readonly EngineEntry[]): Choice | undefined {
  const engine = engines.find((e) => e.name === search.engine && e.available) ?? engines.find((e) => e.available);
  if (!engine) return undefined;
  const version = engine.versions.find((v) => v === search.version) ?? engine.versions[0] ?? '';
  const usual = engine.modes.find((m) => m === 'primary-replica') ?? engine.modes[0] ?? 'single';
  const mode = engine.modes.find((m) => m === search.mode) ?? usual;
  return { engine, version, mode, replicas: mode === 'single' ? 0 : (search.replicas ?? 1) };
}

export function bodyOf(choice: Choice, name: string, failover: boolean): CreateCluster {
  return {
    name,
    engine: choice.engine.name,
    version: choice.version,
    mode: choice.mode,
    auto_failover: failover,
    ...(choice.mode === 'single' ? {} : { replicas: choice.replicas }),
  };
}

export const nodesText = ({ mode, replicas }: Choice): string => (mode === 'single' ? '1 node' : `1 primary, ${count(replicas, 'replica')}`);

export const nodesOf = ({ mode, replicas }: Choice): number => (mode === 'single' ? 1 : 1 + replicas);

/** "8 CPUs, 16.8 GB memory, 512 GB disk". */
export const sizeText = (p: SizePlan): string => `${count(p.cpus, 'CPU')}, ${bytes(p.memory_bytes)} memory, ${bytes(p.storage_bytes)} disk`;

const HOURS_A_MONTH = 730;

/** Of all nodes together: "0.041/h · 30/month (730 h)". Whose money it is was never said. */
export function priceText(hourly: number, nodes: number): string {
  const all = hourly * nodes;
  const trimmed = (n: number, digits: number) => n.toFixed(digits).replace(/\.?0+$/, '') || '0';
  return `${trimmed(all, 4)}/h · ${trimmed(all * HOURS_A_MONTH, all * HOURS_A_MONTH < 100 ? 2 : 0)}/month (${HOURS_A_MONTH} h)`;
}
