import type { GroupBackup } from '~/api/schema';
import { parse } from '~/shared/lib/time';

export type PartState = 'there' | 'missing' | 'running' | 'failed';

export interface Point {
  backup: GroupBackup;
  at: number;
  place: number;
  /** Solid only when every lane has its part and all was read back. */
  whole: boolean;
}

export interface Lanes {
  from: number;
  points: Point[];
}

/** The part of a member: what is no longer there makes the point no group backup. */
export function partOf(b: GroupBackup, cluster: string): PartState {
  const part = b.parts.find((p) => p.cluster === cluster);
  const status = part?.backup?.status;
  if (status === 'completed') return 'there';
  if (status === 'running' || (b.status === 'running' && part)) return 'running';
  return status === 'failed' || status === 'partial' ? 'failed' : 'missing';
}

/** Group backups on one axis that ends now. */
export function lanesOf(backups: readonly GroupBackup[], now: number): Lanes {
  const dated = backups.map((backup) => ({ backup, at: parse(backup.created_at) ?? now })).toSorted((a, b) => a.at - b.at);
  const span = Math.max(now - (dated[0]?.at ?? now), 3_600_000) * 1.05;
  const from = now - span;
  return { from, points: dated.map((d) => ({ ...d, place: Math.min(1, Math.max(0, (d.at - from) / span)), whole: d.backup.restorable })) };
}

export const newestWhole = (backups: readonly GroupBackup[]): GroupBackup | undefined =>
  backups.filter((b) => b.restorable).toSorted((a, b) => b.created_at.localeCompare(a.created_at))[0];

/** "3 of 3 parts", for who does not see the lanes. */
export function partsText(b: GroupBackup): string {
  const there = b.parts.filter((p) => p.backup?.status === 'completed').length;
  return `${there} of ${b.parts.length} ${b.parts.length === 1 ? 'part' : 'parts'}`;
}

export const membersFault = (members: readonly string[]): string | undefined => (members.length < 2 ? 'Choose at least two clusters.' : undefined);

/** What a change of members comes to: "search joins; cache leaves". */
export function membersChange(before: readonly string[], after: readonly string[]): string | undefined {
  const said = (names: readonly string[], one: string, many: string) => (names.length > 0 ? [`${names.join(', ')} ${names.length === 1 ? one : many}`] : []);
  const text = [...said(after.filter((n) => !before.includes(n)), 'joins', 'join'), ...said(before.filter((n) => !after.includes(n)), 'leaves', 'leave')].join('; ');
  return text || undefined;
}

export function suffixFault(suffix: string, members: readonly string[], taken: readonly string[]): string | undefined {
  if (!/^[a-z0-9-]{1,20}$/.test(suffix) || suffix.endsWith('-')) return 'Use a-z, 0-9 and -, 20 characters at most, not ending with -.';
  const clash = members.map((m) => `${m}-${suffix}`).find((n) => taken.includes(n));
  return clash ? `The name ${clash} is taken. Choose another ending.` : undefined;
}
