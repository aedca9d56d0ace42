import type { Gfs, Overlap, Retention, Schedule, SetSchedule, Weekday } from '~/api/schema';
import { copyBodyOf, copyFaults, hasFaults, placesText, shortened, type DaysOf } from '~/features/copies';
import { bytes, count } from '~/shared/lib/bytes';

/** Whose backups are made: those of a cluster, or of a group at one point. */
export interface Of {
  kind: 'clusters' | 'groups';
  id: string;
  name: string;
}

export const weekdays: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

const names: Record<Weekday, string> = { mon: 'Monday', tue: 'Tuesday', wed: 'Wednesday', thu: 'Thursday', fri: 'Friday', sat: 'Saturday', sun: 'Sunday' };

export const dayShort = (day: Weekday): string => names[day].slice(0, 3);
export const hourText = (hour: number): string => `${String(hour).padStart(2, '0')}:00`;

export interface When {
  days: readonly Weekday[];
  hours: readonly number[];
}

const allHours = Array.from({ length: 24 }, (_, n) => n);

export function whenOf(s: Pick<Schedule, 'days' | 'hours' | 'every_day' | 'every_hour'>): When {
  return { days: s.every_day ? weekdays : s.days, hours: s.every_hour ? allHours : s.hours };
}

/** Which schedules run in each hour of the week, by their names: 7 rows of 24. */
export function grid(all: readonly { name: string; when: When }[]): string[][][] {
  return weekdays.map((day) => allHours.map((hour) => all.filter(({ when }) => when.days.includes(day) && when.hours.includes(hour)).map((s) => s.name)));
}

export function toggled<T>(list: readonly T[], item: T, order: readonly T[]): T[] {
  const has = list.includes(item);
  return order.filter((x) => (x === item ? !has : list.includes(x)));
}

export const toggledDay = (w: When, day: Weekday): When => ({ ...w, days: toggled(w.days, day, weekdays) });
export const toggledHour = (w: When, hour: number): When => ({ ...w, hours: toggled(w.hours, hour, allHours) });

/** All or, where all are chosen already, none. */
export const flippedDays = (w: When): When => ({ ...w, days: w.days.length === 7 ? [] : [...weekdays] });
export const flippedHours = (w: When): When => ({ ...w, hours: w.hours.length === 24 ? [] : allHours });

/** "every day at 03:00", "Mon, Wed at 03:00, 15:00", "every day, every hour". */
export function whenText({ days, hours }: When): string {
  const on = days.length === 7 ? 'every day' : days.map(dayShort).join(', ');
  const at = hours.length === 24 ? ', every hour' : hours.length > 6 ? `, ${hours.length} hours a day` : ` at ${hours.map(hourText).join(', ')}`;
  return `${on}${at}`;
}

/** A retention as it is told: what does not count may be left out. */
export interface Keep {
  days?: number | null;
  keep_last?: number | null;
  gfs?: Partial<Gfs> | null;
  max_bytes?: number | null;
}

/** "keep 7 days", "keep the newest 10", "keep 14 days or the newest 3". */
export function retentionText(r: Keep): string {
  const parts: string[] = [];
  if (r.days) parts.push(count(r.days, 'day'));
  if (r.keep_last) parts.push(`the newest ${r.keep_last}`);
  if (r.gfs) {
    const g = r.gfs;
    const of = ([['hourly', g.hourly], ['daily', g.daily], ['weekly', g.weekly], ['monthly', g.monthly], ['yearly', g.yearly]] as const).filter(([, n]) => n);
    if (of.length > 0) parts.push(of.map(([name, n]) => `${n} ${name}`).join(', '));
  }
  if (r.max_bytes) parts.push(`the newest ${bytes(r.max_bytes)}`);
  return parts.length > 0 ? `keep ${parts.join(' or ')}` : 'keep until deleted';
}

/** "local for 7 days, far · waits for the backup before". */
export function whereText(s: Pick<Schedule, 'storages' | 'copy_retention' | 'overlap'>): string {
  return `${placesText(s.storages, s.copy_retention)}${s.overlap === 'queue' ? ' · waits for the backup before' : ''}`;
}

/** Backups that exist at once with it, roughly: what somebody wants to know of a retention. */
export function keptAtOnce(when: When, days: number | undefined, keepLast: number | undefined): number | undefined {
  const week = when.days.length * when.hours.length;
  const byDays = days === undefined ? undefined : Math.round((week * days) / 7);
  if (byDays === undefined) return keepLast;
  return Math.max(byDays, keepLast ?? 0);
}

/** Whether copies somewhere are kept for less than before; what was made already keeps its promise here too. */
export const copiesTighter = (before: Schedule, d: Draft): boolean => shortened(before.storages.filter((s) => d.storages.includes(s)), before.copy_retention, copyBodyOf({ places: d.storages, days: d.copyDays }));

/** Whether fewer are kept than before: what was made already keeps its promise. */
export function tighter(before: Keep, days: number | undefined, keepLast: number | undefined): boolean {
  const fewer = (was: number | null | undefined, is: number | undefined) => was !== null && was !== undefined && (is === undefined || is < was);
  return fewer(before.days, days) || fewer(before.keep_last, keepLast);
}

export interface Draft extends When {
  name: string;
  timeZone: string;
  keepDays: number | string;
  keepLast: number | string;
  storages: string[];
  /** By storage, where copies are kept for less than their backup. */
  copyDays: DaysOf;
  overlap: Overlap;
}

export function draftOf(s: Schedule | undefined, zone: string, storages: readonly string[]): Draft {
  if (!s) return { name: '', days: [...weekdays], hours: [3], timeZone: zone, keepDays: 7, keepLast: '', storages: storages.slice(0, 1), copyDays: {}, overlap: 'skip' };
  return {
    ...whenOf(s),
    name: s.name,
    timeZone: s.time_zone,
    keepDays: s.retention.days ?? '',
    keepLast: s.retention.keep_last ?? '',
    storages: s.storages,
    copyDays: s.copy_retention ?? {},
    overlap: s.overlap,
  };
}

const whole = (v: number | string): number | undefined => (typeof v === 'number' && Number.isInteger(v) && v > 0 ? v : undefined);

/** What this form does not show of a retention, and what stays of it: generations, a size. */
const unseen = (before: Schedule | undefined): Partial<Retention> =>
  before?.retention.gfs || before?.retention.max_bytes ? { gfs: before.retention.gfs, max_bytes: before.retention.max_bytes } : {};

/** What is wrong with the days of copies; `snapshots` are the storages that keep such. */
export function copiesWrong(d: Draft, before?: Schedule, snapshots: readonly string[] = []): ReturnType<typeof copyFaults> {
  const byDays = whole(d.keepLast) === undefined && Object.keys(unseen(before)).length === 0;
  return copyFaults({ places: d.storages, days: d.copyDays, snapshots, most: byDays ? whole(d.keepDays) : undefined });
}

/** What is wrong with it, by field; nothing where it can be sent. */
export function faults(
  d: Draft,
  taken: readonly string[],
  copies = copiesWrong(d),
): Partial<Record<'name' | 'days' | 'hours' | 'timeZone' | 'retention' | 'storages' | 'copies', string>> {
  const out: ReturnType<typeof faults> = {};
  if (!/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(d.name)) out.name = 'Use a-z, 0-9 and -, starting with a letter, 40 characters at most.';
  else if (taken.includes(d.name)) out.name = `There is a schedule named ${d.name} already.`;
  if (d.days.length === 0) out.days = 'Choose at least one day.';
  if (d.hours.length === 0) out.hours = 'Choose at least one hour.';
  if (d.timeZone === '') out.timeZone = 'Choose a time zone.';
  if (whole(d.keepDays) === undefined && whole(d.keepLast) === undefined) out.retention = 'Say how many days, or how many backups are kept.';
  if (d.storages.length === 0) out.storages = 'Choose at least one storage.';
  if (hasFaults(copies)) out.copies = 'The days of copies need a change.';
  return out;
}

/** What is sent. A retention that this form does not show, generations or a size, stays as it was. */
export function bodyOf(d: Draft, before?: Schedule): SetSchedule {
  const days = whole(d.keepDays);
  const keepLast = whole(d.keepLast);
  return {
    name: d.name,
    ...(d.days.length === 7 ? { every_day: true } : { days: [...d.days] }),
    ...(d.hours.length === 24 ? { every_hour: true } : { hours: [...d.hours] }),
    time_zone: d.timeZone,
    retention: { ...unseen(before), ...(days ? { days } : {}), ...(keepLast ? { keep_last: keepLast } : {}) } as Retention,
    storages: d.storages,
    copy_retention: copyBodyOf({ places: d.storages, days: d.copyDays }),
    overlap: d.overlap,
  };
}
