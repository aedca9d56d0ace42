import type { Cluster, ConsoleEnded, ConsoleOpened } from '~/api/schema';

/** The node that a terminal is opened on where none is named: writes go there. */
export function nodeOf(cluster: Pick<Cluster, 'nodes'>, named?: string): Cluster['nodes'][number] | undefined {
  const found = cluster.nodes.find((n) => n.name === named || n.id === named);
  return found ?? cluster.nodes.find((n) => n.role === 'primary') ?? cluster.nodes[0];
}

/** Why none can be opened there now. */
export function blocked(cluster: Pick<Cluster, 'name' | 'status'>, node: Cluster['nodes'][number] | undefined): string | undefined {
  if (cluster.status === 'deleted') return `${cluster.name} was deleted.`;
  if (cluster.status === 'stopped') return `${cluster.name} is stopped. Start it first.`;
  if (!node) return `${cluster.name} has no node yet.`;
  if (['creating', 'stopped', 'failed'].includes(node.status)) return `${node.name} does not run.`;
  return undefined;
}

const own: Record<string, string> = {
  closed: 'Ended.',
  idle: 'Ended after 15 min without input.',
  not_allowed: 'Ended: the session or the role it was opened with has ended.',
  server_stops: 'Ended: Mainstay stopped. Databases keep running. An open transaction was rolled back.',
  too_large: 'Ended: more was sent at once than a statement may have.',
};

/** One sentence that says why. */
export function endSentence(ended: ConsoleEnded): string {
  const known = own[ended.code];
  if (known) return known;
  // A name stays as it is, at the beginning of a sentence too.
  if (ended.code === 'node_gone') return `Ended: ${ended.reason.replace(/\.$/, '')}.`;
  const reason = ended.reason.charAt(0).toUpperCase() + ended.reason.slice(1);
  return /[.!?]$/.test(reason) ? reason : `${reason}.`;
}

export const greeting = (o: ConsoleOpened): string[] => [
  `${o.engine} ${o.version} on ${o.node}, as ${o.user}${o.database ? `, database ${o.database}` : ''}`,
  ...(o.writable ? [] : ['A replica: it takes no writes.']),
];
