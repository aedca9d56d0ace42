import type { Backup, RestoreRequest } from '~/api/schema';
import { restorable } from '~/features/backups';
import { parse } from '~/shared/lib/time';

export type Where = 'new' | 'this' | 'other';

/** A backup on the line, between 0 (left) and 1 (now). */
export interface Mark {
  backup: Backup;
  at: number;
  place: number;
}

export interface Line {
  from: number;
  to: number;
  marks: Mark[];
  /** Two days and more without anything: told as a gap, from and to. */
  gaps: { from: number; to: number }[];
}

const DAY = 86_400_000;
const HOUR = 3_600_000;

/** Backups on a line that ends now. It is as long as what is kept, and never shorter than an hour. */
export function line(backups: readonly Backup[], now: number): Line {
  const dated = backups
    .map((backup) => ({ backup, at: parse(backup.created_at) ?? now }))
    .filter(({ backup }) => backup.status !== 'expired' && backup.status !== 'deleting')
    .toSorted((a, b) => a.at - b.at);
  const first = dated[0]?.at ?? now - DAY;
  const span = Math.max(now - first, HOUR);
  // A little room at the left, so that the oldest does not stand on the edge.
  const from = now - span * 1.03;
  const place = (at: number) => Math.min(1, Math.max(0, (at - from) / (now - from)));
  const good = dated.filter(({ backup }) => restorable(backup));
  const gaps = good
    .map(({ at }, n) => ({ from: at, to: good[n + 1]?.at ?? now }))
    .filter((g) => g.to - g.from > 2 * DAY);
  return { from, to: now, marks: dated.map((d) => ({ ...d, place: place(d.at) })), gaps };
}

/** What a backup's mark on a line is drawn as. */
export const looks = (b: Backup) =>
  b.status === 'completed' && b.proof !== 'none' ? ({ noun: 'proof', status: b.proof } as const) : ({ noun: 'backup', status: b.status } as const);

/** Left and right, oldest to newest, over what can be restored. */
export function neighbour(backups: readonly Backup[], id: string | undefined, by: -1 | 1): Backup | undefined {
  const able = backups.filter(restorable).toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
  if (able.length === 0) return undefined;
  const at = able.findIndex((b) => b.id === id);
  return at < 0 ? able.at(-1) : able[Math.min(able.length - 1, Math.max(0, at + by))];
}

export const newestGood = (backups: readonly Backup[]): Backup | undefined => {
  const able = backups.filter(restorable).toSorted((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
  return able.find((b) => b.status === 'completed' && b.proof !== 'suspicious') ?? able[0];
};

/** `orders-db-restored`, or the first of its like that is free. */
export function freeName(cluster: string, taken: readonly string[]): string {
  const stem = `${cluster}-restored`.slice(0, 36).replace(/-$/, '');
  if (!taken.includes(stem)) return stem;
  for (let n = 2; ; n += 1) if (!taken.includes(`${stem}-${n}`)) return `${stem}-${n}`;
}

export function nameFault(name: string, taken: readonly string[], project: string): string | undefined {
  if (!/^[a-z][a-z0-9-]{1,38}[a-z0-9]$/.test(name)) return 'Use 3 to 40 characters: a-z, 0-9 and -, starting with a letter and not ending with -.';
  return taken.includes(name) ? `The name ${name} is taken in ${project}. Choose another.` : undefined;
}

interface Choice {
  backup?: Backup;
  /** A moment in place of a backup. */
  until?: string;
  where: Where;
  name: string;
  other: string;
  storage?: string;
  cluster: string;
}

/** What is asked of the server; nothing while something is missing. */
export function requestOf(c: Choice, fault?: string): RestoreRequest | undefined {
  if (!c.backup && !c.until) return undefined;
  // The server takes the backup that is nearest before a moment.
  const what = c.until ? { until: c.until, from_cluster: c.cluster } : { backup: c.backup?.id };
  const from = { ...what, ...(c.storage ? { storage: c.storage } : {}) };
  if (c.where === 'new') return fault ? undefined : { ...from, new: c.name };
  const to = c.where === 'this' ? c.cluster : c.other;
  return to ? { ...from, to } : undefined;
}
