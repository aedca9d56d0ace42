import type { Assertion, BackupPolicy, PointInTime, SetBackupPolicy } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import type { Tone } from '~/shared/lib/statuses';

// ---- points in time ----

/** How the keeping of the log stands: trouble of it or of one storage comes first. */
export function keepingOf(p: PointInTime): { tone: Tone; word: string } {
  if (!p.on) return { tone: 'idle', word: 'Off' };
  if (p.trouble || p.storages.some((s) => s.trouble)) return { tone: 'warn', word: 'In trouble' };
  return p.from ? { tone: 'good', word: 'On' } : { tone: 'busy', word: 'Beginning' };
}

export interface Keeping {
  on: boolean;
  days: number | string;
  storages: readonly string[];
}

export const keepingDraft = (p: PointInTime): Keeping => ({ on: true, days: p.keep_days ?? 7, storages: p.on ? p.storages.map((s) => s.storage) : ['local'] });

export function keepingFaults(k: Keeping): { days?: string; storages?: string } {
  const days = Number(k.days);
  return {
    ...(Number.isInteger(days) && days >= 1 && days <= 3650 ? {} : { days: 'Use 1 to 3650 days.' }),
    ...(k.storages.length === 0 ? { storages: 'Choose at least one.' } : {}),
  };
}

// ---- the rules for backups ----

export interface PolicyDraft {
  from: BackupPolicy['from'];
  limit: boolean;
  /** Empty: they are kept seven days. */
  keepLast: number | string;
  minKeep: number | string;
}

export const policyDraft = (p: BackupPolicy): PolicyDraft => ({ from: p.from, limit: p.manual_limit, keepLast: p.manual_keep_last ?? '', minKeep: p.min_keep });

const between = (value: number | string, least: number, most: number) => value !== '' && Number.isInteger(Number(value)) && Number(value) >= least && Number(value) <= most;

export function policyFaults(d: PolicyDraft): { keepLast?: string; minKeep?: string } {
  return {
    ...(d.keepLast === '' || between(d.keepLast, 1, 100_000) ? {} : { keepLast: 'Use a number from 1, or leave it empty.' }),
    ...(between(d.minKeep, 1, 1000) ? {} : { minKeep: 'Use 1 to 1000.' }),
  };
}

export const policyBody = (d: PolicyDraft): SetBackupPolicy => ({
  from: d.from,
  manual_limit: d.limit,
  manual_keep_last: d.keepLast === '' ? null : Number(d.keepLast),
  min_keep: Number(d.minKeep),
});

export function policyText(p: BackupPolicy): string {
  const from = p.from === 'primary' ? 'Read from the primary' : 'Read from a caught-up replica where there is one';
  const manual = p.manual_keep_last ? `of those made by hand the newest ${p.manual_keep_last} stay` : 'those made by hand stay 7 days unless it is said how long';
  const limit = p.manual_limit ? '; at most one by hand in an hour' : '';
  return `${from}; the newest ${count(p.min_keep, 'good one')} always stay; ${manual}${limit}.`;
}

// ---- what drills have to prove ----

export const forms = [
  { value: 'at least', label: 'is at least', takes: 'number' },
  { value: 'at most', label: 'is at most', takes: 'number' },
  { value: 'equals', label: 'equals', takes: 'text' },
  { value: 'matches', label: 'matches the expression', takes: 'text' },
  { value: 'not empty', label: 'is not empty', takes: undefined },
] as const;

export type Form = (typeof forms)[number]['value'];

/** An expectation in its two parts: `at least 1000`. */
export function expectOf(text: string): { form: Form; value: string } {
  const found = forms.find((f) => text === f.value || text.startsWith(`${f.value} `));
  return found ? { form: found.value, value: text.slice(found.value.length).trim() } : { form: 'equals', value: text };
}

export const expectText = (form: Form, value: string): string => (form === 'not empty' ? form : `${form} ${value.trim()}`.trim());

export type Wrong = Partial<Record<keyof Assertion, string>>;

/** Why one cannot be kept; whether the engine understands the question only the engine says. */
export function assertionFaults(a: Assertion, others: readonly string[]): Wrong {
  const { form, value } = expectOf(a.expect);
  const takes = forms.find((f) => f.value === form)?.takes;
  const wrong: Wrong = {};
  if (!/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(a.name)) wrong.name = 'Use a-z, 0-9 and -, starting with a letter, 40 characters at most.';
  else if (others.includes(a.name)) wrong.name = `There is one called ${a.name} already.`;
  if (a.query.trim() === '') wrong.query = 'Say what is asked.';
  if (takes === 'number' && (value === '' || !Number.isFinite(Number(value)))) wrong.expect = 'Use a number.';
  else if (form === 'matches' && value === '') wrong.expect = 'Say the expression.';
  return wrong;
}

export const MOST = 50;

/** In the place of the one of that number, or behind all of them. */
export function placed(all: readonly Assertion[], at: number | undefined, a: Assertion): Assertion[] {
  return at === undefined ? [...all, a] : all.with(at, a);
}

export const same = (a: readonly Assertion[], b: readonly Assertion[]): boolean => JSON.stringify(a) === JSON.stringify(b);
