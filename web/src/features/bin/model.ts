import type { Backup, Cluster } from '~/api/schema';
import { parse } from '~/shared/lib/time';
import type { Tone } from '~/shared/lib/statuses';

const HOUR = 3_600_000;

/** Days, and hours on the last two; louder the nearer it is. */
export function goneIn(until: string | null | undefined, now: number): { text: string; tone: Tone } {
  const at = parse(until);
  if (at === undefined) return { text: 'Stays until deleted for good', tone: 'idle' };
  const left = at - now;
  if (left <= 0) return { text: 'Any moment', tone: 'bad' };
  if (left < HOUR) return { text: 'in less than an hour', tone: 'bad' };
  const hours = Math.floor(left / HOUR);
  if (hours < 48) return { text: `in ${hours} ${hours === 1 ? 'hour' : 'hours'}`, tone: 'warn' };
  return { text: `in ${Math.floor(hours / 24)} days`, tone: 'idle' };
}

/** Those that go first come first. */
export const inBin = (clusters: readonly Cluster[]): Cluster[] =>
  clusters.filter((c) => c.status === 'deleted').toSorted((a, b) => (a.deleted_until ?? '9').localeCompare(b.deleted_until ?? '9'));

export const backupsOf = (c: Cluster, all: readonly Backup[]): Backup[] => all.filter((b) => b.cluster === c.name && (b.status === 'completed' || b.status === 'partial'));
