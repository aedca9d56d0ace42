import { duration, moment, parse, type Clock } from './time';
import type { Tone } from './statuses';

/** What the server knows about getting a cluster back. */
export interface Facts {
  to?: string | null;
  copies: number;
  copies_verified: number;
  last_drill_at?: string | null;
  last_drill_seconds?: number | null;
  sentence: string;
}

/** What makes a recovery point worse than it looks. */
export interface Context {
  /** Alerts that hold now, by kind. */
  alerts?: readonly { kind: string; sentence: string }[];
  /** No news from the cluster: since when. */
  heardAt?: number;
  unreachable?: boolean;
}

export type Way = 'back_up' | 'drill' | 'look' | 'check_storage';

export interface Said {
  tone: Tone;
  text: string;
  /** The one next step, where there is one. */
  way?: Way;
}

const WEEK = 8 * 24 * 3_600_000;

/** The sentence, with its times in the reader's zone. It is good only when every part of it is. */
export function recoverability(facts: Facts, now: number, context: Context = {}, clock: Clock = {}): Said {
  const to = parse(facts.to);
  if (to === undefined) return { tone: 'bad', text: 'Not recoverable: no good backup yet.', way: 'back_up' };
  const point = moment(to, now, clock);
  if (context.unreachable && context.heardAt !== undefined) {
    return { tone: 'unknown', text: `Recoverable to ${point} when last heard of, ${duration((now - context.heardAt) / 1000)} ago.`, way: 'look' };
  }
  const alert = (kind: string) => context.alerts?.find((a) => a.kind === kind);
  const late = alert('backup_overdue') ?? alert('backup_failed');
  if (late) return { tone: 'bad', text: `Recoverable only to ${point}: ${lower(late.sentence)}`, way: 'look' };
  const copies = `${facts.copies_verified} of ${facts.copies} ${facts.copies === 1 ? 'copy' : 'copies'} verified`;
  const start = `Recoverable to ${point}; ${copies}`;
  if (facts.copies_verified < facts.copies) return { tone: 'warn', text: `${start}.`, way: 'look' };
  const drilled = parse(facts.last_drill_at);
  if (alert('drill_failed')) return { tone: 'warn', text: `${start}; the last drill failed.`, way: 'look' };
  if (drilled === undefined || facts.last_drill_seconds == null) return { tone: 'warn', text: `${start}; never drilled.`, way: 'drill' };
  const took = duration(facts.last_drill_seconds);
  if (now - drilled > WEEK) return { tone: 'warn', text: `${start}; last drill restored in ${took}, ${moment(drilled, now, clock)}.`, way: 'drill' };
  return { tone: 'good', text: `${start}; last drill restored in ${took}.` };
}

function lower(sentence: string): string {
  const text = sentence.endsWith('.') ? sentence : `${sentence}.`;
  return text.charAt(0).toLowerCase() + text.slice(1);
}
