import type { Cluster, Node } from '~/api/schema';

/** Why a node cannot be taken away, or nothing; the server has the last word. */
export function removeBlocked(c: Cluster, n: Node): string | undefined {
  if (c.nodes.length === 1) return 'It is the only node: delete the cluster instead.';
  return n.role === 'primary' ? 'Promote another node first: this is the primary.' : undefined;
}

const list = new Intl.ListFormat('en', { type: 'conjunction' });

/** Which nodes go together when one host is lost. */
export function together(c: Cluster): string | undefined {
  const hosts = new Map<string, string[]>();
  for (const n of c.nodes) hosts.set(n.host, [...(hosts.get(n.host) ?? []), n.name]);
  const [host, names] = [...hosts].find(([, on]) => on.length > 1) ?? [];
  return host && names ? `Losing ${host} loses ${list.format(names)} together.` : undefined;
}

export type Edge = 'streaming' | 'catching_up' | 'no_news';

/** Solid, dashed or dotted: what is known of the way from the primary. */
export function edge(n: Node): Edge {
  if (n.status === 'unknown' || n.lag_bytes === null || n.lag_bytes === undefined) return n.status === 'seeding' || n.status === 'creating' ? 'catching_up' : 'no_news';
  return n.status === 'running' ? 'streaming' : 'catching_up';
}
