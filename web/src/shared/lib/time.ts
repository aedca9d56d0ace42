/** How moments and spans read. All of it pure: who shows them passes `now`. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export interface Clock {
  /** 12-hour clock where it is asked for. */
  hour12?: boolean;
  timeZone?: string;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale + JSON.stringify(options);
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(locale, options);
    formats.set(key, found);
  }
  return found;
}

/** The day in the reader's zone, to compare with others. */
function day(at: number, clock: Clock): string {
  return format('en-CA', { timeZone: clock.timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(at);
}

export function wall(at: number, clock: Clock = {}, seconds = false): string {
  const options: Intl.DateTimeFormatOptions = { timeZone: clock.timeZone, hour: '2-digit', minute: '2-digit', hourCycle: clock.hour12 ? 'h12' : 'h23' };
  return format('en-GB', seconds ? { ...options, second: '2-digit' } : options).format(at);
}

function date(at: number, clock: Clock): string {
  return format('en-GB', { timeZone: clock.timeZone, day: 'numeric', month: 'short', year: 'numeric' }).format(at);
}

function weekday(at: number, clock: Clock): string {
  return format('en-GB', { timeZone: clock.timeZone, weekday: 'short' }).format(at);
}

/** 03:14 today, 03:14 tomorrow, Tue 03:14, 20 Nov 2026, 03:14: where the moment matters. */
export function moment(at: number, now: number, clock: Clock = {}): string {
  const time = wall(at, clock);
  const its = day(at, clock);
  if (its === day(now, clock)) return `${time} today`;
  if (its === day(now + DAY, clock)) return `${time} tomorrow`;
  if (its === day(now - DAY, clock)) return `${time} yesterday`;
  if (at < now && now - at < 7 * DAY) return `${weekday(at, clock)} ${time}`;
  if (at > now && at - now < 6 * DAY) return `${weekday(at, clock)} ${time}`;
  return `${date(at, clock)}, ${time}`;
}

/** 4 min ago, in 9 h; a date where it is longer ago than a week. */
export function age(at: number, now: number, clock: Clock = {}): string {
  const gone = now - at;
  const span = Math.abs(gone);
  if (span >= 7 * DAY) return date(at, clock);
  if (span < 5 * SECOND) return 'now';
  const text = coarse(span);
  return gone >= 0 ? `${text} ago` : `in ${text}`;
}

/** One unit: 41 s, 4 min, 9 h, 2 d. */
export function coarse(ms: number): string {
  const span = Math.abs(ms);
  if (span < MINUTE) return `${Math.floor(span / SECOND)} s`;
  if (span < HOUR) return `${Math.floor(span / MINUTE)} min`;
  if (span < DAY) return `${Math.floor(span / HOUR)} h`;
  return `${Math.floor(span / DAY)} d`;
}

/** 0.4 s, 41 s, 1 min 10 s, 3 h 5 min, 12 d. */
export function duration(seconds: number): string {
  if (seconds < 0.05) return '0 s';
  if (seconds < 9.95) return `${seconds.toFixed(1).replace(/\.0$/, '')} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(Math.floor(whole / 60), 'min', whole % 60, 's');
  if (whole < 2 * 86_400) return two(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'min');
  return `${Math.floor(whole / 86_400)} d`;
}

function two(big: number, unit: string, small: number, smaller: string): string {
  return small === 0 ? `${big} ${unit}` : `${big} ${unit} ${small} ${smaller}`;
}

/** 2026-11-20 02:14:07 UTC. */
export function exact(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

export function parse(text: string | null | undefined): number | undefined {
  if (!text) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}

/** For `datetime-local` inputs, in the browser's zone. */
export function inputValue(at: number): string {
  const local = new Date(at - new Date(at).getTimezoneOffset() * MINUTE);
  return local.toISOString().slice(0, 19);
}
