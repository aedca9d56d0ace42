import type { Sort } from './shared/ui/DataTable';

/** What addresses may hold, read without trust: what makes no sense is left out. */
type Raw = Record<string, unknown>;

const text = (value: unknown, most = 200): string | undefined => {
  const read = typeof value === 'number' ? String(value) : value;
  return typeof read === 'string' && read !== '' && read.length <= most ? read : undefined;
};

function oneOf<T extends string | number>(value: unknown, known: readonly T[]): T | undefined {
  return known.find((k) => k === value);
}

/** Leaves out what is not there, so that addresses stay short. */
function clean<T extends object>(found: T): T {
  return Object.fromEntries(Object.entries(found).filter(([, v]) => v !== undefined)) as T;
}

/** `name` or `-name`. */
export const sortOf = (value: string | undefined): Sort | undefined =>
  value ? { by: value.replace(/^-/, ''), down: value.startsWith('-') } : undefined;

export const sortText = (sort: Sort): string => `${sort.down ? '-' : ''}${sort.by}`;

/** Only a place of this page: nobody is sent elsewhere after signing in. */
export function signIn(raw: Raw): { next?: string } {
  const next = text(raw['next'], 2000);
  return clean({ next: next?.startsWith('/') && !next.startsWith('//') && !next.includes('\\') ? next : undefined });
}

export interface ClustersSearch {
  q?: string;
  status?: string;
  engine?: string;
  only?: 'attention' | 'unrecoverable';
  sort?: string;
}

export function clusters(raw: Raw): ClustersSearch {
  return clean({
    q: text(raw['q']),
    status: text(raw['status']),
    engine: text(raw['engine']),
    only: oneOf(raw['only'], ['attention', 'unrecoverable'] as const),
    sort: text(raw['sort'], 40),
  });
}

export interface CreateSearch {
  step?: 2 | 3;
  engine?: string;
  version?: string;
  mode?: string;
  replicas?: number;
  name?: string;
  protect?: true;
}

export function create(raw: Raw): CreateSearch {
  const replicas = Number(raw['replicas']);
  return clean({
    step: oneOf(raw['step'], [2, 3] as const),
    engine: text(raw['engine'], 40),
    version: text(raw['version'], 40),
    mode: text(raw['mode'], 40),
    replicas: Number.isInteger(replicas) && replicas >= 1 && replicas <= 20 ? replicas : undefined,
    name: text(raw['name'], 60),
    protect: raw['protect'] === true ? (true as const) : undefined,
  });
}

export interface NodesSearch {
  view?: 'topology';
  node?: string;
  sort?: string;
}

export function nodes(raw: Raw): NodesSearch {
  return clean({ view: oneOf(raw['view'], ['topology'] as const), node: text(raw['node'], 60), sort: text(raw['sort'], 40) });
}

export interface MetricsSearch {
  range?: '15m';
  /** Nodes that are left out. */
  without?: string[];
}

export function metrics(raw: Raw): MetricsSearch {
  const names = (Array.isArray(raw['without']) ? raw['without'] : []).flatMap((n) => text(n, 60) ?? []).slice(0, 40);
  return clean({ range: oneOf(raw['range'], ['15m'] as const), without: names.length > 0 ? names : undefined });
}

export { clean, oneOf, text };
