import type { Backup, BackupCopy } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import { lookOf } from '~/shared/lib/statuses';
import { moment, parse, type Clock } from '~/shared/lib/time';
import type { BackupsSearch } from './search';

const kinds: Record<string, string> = {
  manual: 'Manual',
  scheduled: 'Scheduled',
  promotion: 'Promotion',
  final: 'Final',
  pre_restore: 'Before a restore',
};

export const backupKinds = Object.keys(kinds);

export const backupKind = (kind: string): string => (Object.hasOwn(kinds, kind) ? (kinds[kind] ?? kind) : kind.replaceAll('_', ' '));

/** Names of the checks that the server makes; one that is not listed reads as it is called. */
const checks: Record<string, string> = {
  source_read: 'Read from the cluster',
  read_back: 'Read back from the storage',
};

export function checkTitle(name: string): string {
  if (Object.hasOwn(checks, name)) return checks[name] ?? name;
  const words = name.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function addedBytes(b: Backup): number | undefined {
  const known = b.copies.map((c) => c.added_bytes).filter((n) => n !== null && n !== undefined);
  return known.length > 0 ? known.reduce((sum, n) => sum + n, 0) : undefined;
}

export function tookSeconds(b: Backup): number | undefined {
  const [start, end] = [parse(b.created_at), parse(b.finished_at)];
  return start === undefined || end === undefined ? undefined : (end - start) / 1000;
}

/** Something can be brought back from it: a completed one, or a partial one with a whole copy. */
export function restorable(b: Backup): boolean {
  return (b.status === 'completed' || b.status === 'partial') && b.copies.some((c) => c.status === 'completed');
}

/** Why nothing can be done with it, where that is so. */
export function unusable(b: Backup): string | undefined {
  if (restorable(b)) return undefined;
  return b.status === 'running' ? 'It is being made.' : `It is ${lookOf('backup', b.status).word.toLowerCase()}.`;
}

/** The tone counts too: what is suspicious is not good. */
export const sound = (b: Backup): boolean => b.status === 'completed' && b.proof !== 'suspicious';

export const isGoing = (b: Backup): boolean => b.status === 'deleting' && Boolean(b.deleting_until);

/** A copy went, or goes, on purpose: that it is not there says nothing against its backup. */
export const isLetGo = (c: BackupCopy): boolean => c.status === 'deleting' || c.status === 'expired';

/** Single copies are announced, their backup stays: they can be kept too. */
export const copiesGoing = (b: Backup): boolean => !isGoing(b) && b.copies.some((c) => c.status === 'deleting' && Boolean(c.deleting_until));

/** Where something of it lies, or should. */
export const placesOf = (b: Backup): string[] => b.copies.filter((c) => c.status !== 'expired').map((c) => c.storage);

/** How long one copy stays, where that is not simply as long as its backup. */
export type Stay =
  /** It went, or is kept though its time is over: the server says why. */
  | { is: 'gone' | 'kept'; why: string }
  /** Announced; until then it can be kept. */
  | { is: 'going'; until?: string }
  | { is: 'until'; until: string };

export function stayOf(c: BackupCopy): Stay | undefined {
  if (c.status === 'expired') return { is: 'gone', why: c.keep_reason || 'removed when its time in this storage was over' };
  if (c.status === 'deleting') return { is: 'going', until: c.deleting_until ?? undefined };
  if (c.keep_reason) return { is: 'kept', why: c.keep_reason };
  return c.expires_at ? { is: 'until', until: c.expires_at } : undefined;
}

/** What stands for a copy where there is no room: "local: completed". */
export function copyName(c: BackupCopy): string {
  const word = lookOf('copy', c.status).word.toLowerCase();
  if (c.status === 'expired') return `${c.storage}: ${word}, its time there was over`;
  return `${c.storage}: ${word}${c.error && !isLetGo(c) ? `, ${c.error}` : ''}`;
}

/** Why it did not work, in one line: its own error, else that of a copy. */
export function trouble(b: Backup): string | undefined {
  if (b.error) return b.error;
  const bad = b.copies.find((c) => c.error && !isLetGo(c));
  return bad ? `${bad.storage}: ${bad.error}` : undefined;
}

/** The server says why it is kept with the time in UTC; the reader's zone is said in its own column. */
export function keptBecause(b: Backup): string {
  return b.keep_reason.replace(/, until \d{4}-\d\d-\d\dT[\d:.]+Z$/, '');
}

/** What stands for a backup in a sentence: "03:14 today (drilled)". */
export function nameOf(b: Backup, now: number, clock: Clock = {}): string {
  const at = parse(b.created_at);
  const proof = b.status === 'completed' ? lookOf('proof', b.proof).word.toLowerCase() : lookOf('backup', b.status).word.toLowerCase();
  return `${at === undefined ? b.id : moment(at, now, clock)} (${proof})`;
}

export function filteredBackups(all: readonly Backup[], s: BackupsSearch): Backup[] {
  const q = s.q?.toLowerCase();
  // Days are the reader's.
  const from = s.from ? new Date(`${s.from}T00:00:00`).getTime() : undefined;
  const until = s.until ? new Date(`${s.until}T00:00:00`).getTime() + 86_400_000 : undefined;
  return all.filter((b) => {
    const at = from === undefined && until === undefined ? 0 : (parse(b.created_at) ?? 0);
    return (
      (!q || `${b.id} ${b.cluster} ${b.description} ${b.method} ${b.error ?? ''}`.toLowerCase().includes(q)) &&
      (!s.status || b.status === s.status) &&
      (!s.kind || b.kind === s.kind) &&
      (!s.cluster || b.cluster === s.cluster) &&
      (!s.storage || b.copies.some((c) => c.storage === s.storage)) &&
      (from === undefined || at >= from) &&
      (until === undefined || at < until)
    );
  });
}

export const hasFilters = (s: BackupsSearch): boolean => Boolean(s.q || s.status || s.kind || s.storage || s.cluster || s.from || s.until);

export type DayState = 'good' | 'partial' | 'failed' | 'running' | 'none';

export interface Cell {
  /** Midnight in the reader's zone. */
  day: number;
  state: DayState;
  backups: Backup[];
}

export interface Lane {
  cluster: string;
  cells: Cell[];
  /** Whether a good one is among the days. */
  good: boolean;
}

/** The last `days` midnights of the reader's zone, the oldest first. */
export function lastDays(now: number, days: number): number[] {
  const today = new Date(now);
  return Array.from({ length: days }, (_, n) => new Date(today.getFullYear(), today.getMonth(), today.getDate() - (days - 1 - n)).getTime());
}

function stateOf(backups: readonly Backup[]): DayState {
  if (backups.some(sound)) return 'good';
  if (backups.some((b) => b.status === 'partial' || b.proof === 'suspicious')) return 'partial';
  if (backups.some((b) => b.status === 'running')) return 'running';
  return backups.some((b) => b.status === 'failed') ? 'failed' : 'none';
}

/** A row a cluster, a cell a day; who has no good one comes first. */
export function lanes(clusters: readonly string[], all: readonly Backup[], now: number, days = 14): Lane[] {
  const starts = lastDays(now, days);
  // One pass over all of them: there may be ten thousand, and hundreds of clusters.
  const byDay = new Map<string, Backup[][]>(clusters.map((cluster) => [cluster, starts.map(() => [])]));
  for (const b of all) {
    const at = parse(b.created_at) ?? 0;
    const day = starts.findLastIndex((start) => at >= start);
    if (day >= 0 && b.status !== 'deleting' && b.status !== 'expired') byDay.get(b.cluster)?.[day]?.push(b);
  }
  const made = clusters.map((cluster): Lane => {
    const cells = starts.map((day, n): Cell => {
      const backups = byDay.get(cluster)?.[n] ?? [];
      return { day, state: stateOf(backups), backups };
    });
    return { cluster, cells, good: cells.some((c) => c.state === 'good') };
  });
  return made.toSorted((a, b) => Number(a.good) - Number(b.good) || a.cluster.localeCompare(b.cluster));
}

/** "2 good, 1 failed", for who does not see the cell. */
export function cellSentence(cell: Cell): string {
  if (cell.backups.length === 0) return 'no backup';
  const good = cell.backups.filter(sound).length;
  const rest = new Map<string, number>();
  for (const b of cell.backups.filter((x) => !sound(x))) {
    const word = b.status === 'completed' ? 'suspicious' : lookOf('backup', b.status).word.toLowerCase();
    rest.set(word, (rest.get(word) ?? 0) + 1);
  }
  return [...(good > 0 ? [`${good} good`] : []), ...[...rest].map(([word, n]) => `${n} ${word}`)].join(', ');
}

/** What a deletion leaves: "It is the last good backup." */
export function whatIsLeft(b: Backup, all: readonly Backup[]): string {
  const others = all.filter((x) => x.id !== b.id && x.cluster === b.cluster && sound(x)).length;
  if (!sound(b)) return 'It is no good backup: nothing can be brought back from it.';
  return others === 0 ? `It is the last good backup of ${b.cluster}: nothing can be brought back after that.` : `${count(others, 'other good backup')} of ${b.cluster} stay.`;
}
