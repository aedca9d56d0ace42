import type { Backup, PointInTime } from '~/api/schema';
import { restorable } from '~/features/backups';
import { inputValue, moment, parse, wall, type Clock } from '~/shared/lib/time';

/** The moments that can be brought back, in whole seconds: `from` to `to`, but for the gaps. */
export interface Window {
  from: number;
  to: number;
  gaps: readonly { from: number; to: number }[];
}

const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
const up = (at: number) => Math.ceil(at / SECOND) * SECOND;
const down = (at: number) => Math.floor(at / SECOND) * SECOND;

/** Nothing where no moment can be had: a window of less than a second is none. */
export function windowOf(kept: PointInTime | null | undefined): Window | undefined {
  const [from, to] = [parse(kept?.from), parse(kept?.to)];
  if (!kept || from === undefined || to === undefined || up(from) > down(to)) return undefined;
  const gaps = kept.gaps.flatMap((g) => {
    const [start, end] = [parse(g.from), parse(g.to)];
    return start === undefined || end === undefined || end <= start ? [] : [{ from: start, to: end }];
  });
  return { from: up(from), to: down(to), gaps };
}

const gapAt = (w: Window, at: number) => w.gaps.find((g) => at > g.from && at < g.to);

/** Into the window and out of its gaps, to the side that was walked to. */
export function settled(w: Window, at: number, by: -1 | 1 = -1): number {
  const inside = Math.min(w.to, Math.max(w.from, down(at)));
  const gap = gapAt(w, inside);
  return gap ? (by < 0 ? down(gap.from) : up(gap.to)) : inside;
}

/** The backup before or after a moment, within the window. */
export function backupBeside(backups: readonly Backup[], w: Window, at: number, by: -1 | 1): number {
  const points = backups
    .filter(restorable)
    .map((b) => up(parse(b.finished_at) ?? parse(b.created_at) ?? 0))
    .filter((p) => p >= w.from && p <= w.to && (by < 0 ? p < at : p > at))
    .toSorted((a, b) => a - b);
  const found = by < 0 ? points.at(-1) : points[0];
  return found ?? (by < 0 ? w.from : w.to);
}

/** Arrows a minute, with Shift an hour; pages from backup to backup; Home and End. Nothing for other keys. */
export function byKey(key: string, shift: boolean, at: number, w: Window, backups: readonly Backup[]): number | undefined {
  const step = shift ? HOUR : MINUTE;
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowDown':
      return settled(w, at - step, -1);
    case 'ArrowRight':
    case 'ArrowUp':
      return settled(w, at + step, 1);
    case 'PageUp':
      return settled(w, backupBeside(backups, w, at, -1), -1);
    case 'PageDown':
      return settled(w, backupBeside(backups, w, at, 1), 1);
    case 'Home':
      return w.from;
    case 'End':
      return w.to;
    default:
      return undefined;
  }
}

/** To the second, and with its day where that is not today. */
export function inWords(at: number, now: number, clock: Clock = {}): string {
  return moment(at, now, clock).replace(wall(at, clock), wall(at, clock, true));
}

/** Why a moment cannot be brought back, or nothing. */
export function momentFault(w: Window, at: number | undefined, now: number, clock: Clock = {}): string | undefined {
  if (at === undefined) return 'Say a day and a time, to the second.';
  const say = (t: number) => inWords(t, now, clock);
  if (at < w.from) return `The log begins ${say(w.from)}: nothing before it can be had to the second.`;
  if (at > w.to) return at > now ? 'It has not been yet.' : `The log is stored up to ${say(w.to)}.`;
  const gap = gapAt(w, at);
  return gap ? `The log has a gap from ${say(gap.from)} to ${say(gap.to)}.` : undefined;
}

/** For the address: a moment in UTC, to the second. */
export const written = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z');

export interface Scale {
  from: number;
  to: number;
  place: (at: number) => number;
}

/** The line that a window is drawn on, with a little room at both ends. */
export function scaleOf(w: Window, now: number): Scale {
  const end = Math.max(now, w.to);
  const room = Math.max(end - w.from, MINUTE) * 0.02;
  const [from, to] = [w.from - room, end + room];
  return { from, to, place: (at) => Math.min(1, Math.max(0, (at - from) / (to - from))) };
}

/** Where clocks went back, an hour reads twice: the other moment of the same reading. */
export function twin(at: number): number | undefined {
  const same = (other: number) => inputValue(other) === inputValue(at);
  return [at - HOUR, at + HOUR].find(same);
}
