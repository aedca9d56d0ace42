import { expect, it } from 'vitest';
import type { BackupPolicy, PointInTime } from '~/api/schema';
import { assertionFaults, expectOf, expectText, keepingDraft, keepingFaults, keepingOf, placed, policyBody, policyDraft, policyFaults, policyText, same } from './model';

const kept = (part: Partial<PointInTime> = {}): PointInTime => ({ on: true, keep_days: 14, from: '2026-11-20T03:00:00Z', to: '2026-11-20T14:00:00Z', gaps: [], breaks: [], storages: [{ storage: 'local' }], ...part }) as PointInTime;
const policy: BackupPolicy = { cluster: 'shop', from: 'replica', manual_limit: false, min_keep: 2 };

it('says how the log is kept, trouble first', () => {
  expect(keepingOf(kept())).toEqual({ tone: 'good', word: 'On' });
  expect(keepingOf(kept({ from: null, to: null })).word).toBe('Beginning');
  expect(keepingOf(kept({ storages: [{ storage: 'far', trouble: 'does not answer' }] })).tone).toBe('warn');
  expect(keepingOf(kept({ on: false })).word).toBe('Off');
});

it('begins a change with what stands', () => {
  expect(keepingDraft(kept())).toEqual({ on: true, days: 14, storages: ['local'] });
  expect(keepingDraft(kept({ on: false, keep_days: null, storages: [] }))).toEqual({ on: true, days: 7, storages: ['local'] });
  expect(keepingFaults({ on: true, days: '', storages: [] })).toEqual({ days: 'Use 1 to 3650 days.', storages: 'Choose at least one.' });
  expect(keepingFaults({ on: true, days: 3650, storages: ['local'] })).toEqual({});
});

it('reads and writes the rules', () => {
  expect(policyBody(policyDraft(policy))).toEqual({ from: 'replica', manual_limit: false, manual_keep_last: null, min_keep: 2 });
  expect(policyBody({ from: 'primary', limit: true, keepLast: '5', minKeep: 3 })).toEqual({ from: 'primary', manual_limit: true, manual_keep_last: 5, min_keep: 3 });
  expect(policyFaults({ from: 'replica', limit: false, keepLast: 0, minKeep: '' })).toEqual({ keepLast: expect.stringContaining('from 1'), minKeep: 'Use 1 to 1000.' });
  expect(policyText(policy)).toBe('Read from a caught-up replica where there is one; the newest 2 good ones always stay; those made by hand stay 7 days unless it is said how long.');
  expect(policyText({ ...policy, from: 'primary', manual_keep_last: 5, manual_limit: true })).toBe('Read from the primary; the newest 2 good ones always stay; of those made by hand the newest 5 stay; at most one by hand in an hour.');
});

it.each([
  ['at least 1000', 'at least', '1000'],
  ['at most -2.5', 'at most', '-2.5'],
  ['equals 42', 'equals', '42'],
  ['equals', 'equals', ''],
  ['matches ^v[0-9]+$', 'matches', '^v[0-9]+$'],
  ['not empty', 'not empty', ''],
] as const)('%s is in two parts', (text, form, value) => {
  expect(expectOf(text)).toEqual({ form, value });
  expect(expectText(form, value)).toBe(text);
});

it('says what one lacks', () => {
  const good = { name: 'orders', query: 'SELECT 1', expect: 'at least 1' };
  expect(assertionFaults(good, ['schema'])).toEqual({});
  expect(assertionFaults(good, ['orders']).name).toContain('already');
  expect(Object.keys(assertionFaults({ name: 'Orders!', query: ' ', expect: 'at least many' }, []))).toEqual(['name', 'query', 'expect']);
  expect(assertionFaults({ ...good, expect: 'matches' }, []).expect).toBe('Say the expression.');
  expect(assertionFaults({ ...good, expect: 'equals' }, [])).toEqual({});
});

it('keeps the place of what is changed', () => {
  const [a, b] = [{ name: 'a', query: 'x', expect: 'not empty' }, { name: 'b', query: 'y', expect: 'not empty' }];
  expect(placed([a, b], 0, { ...a, query: 'z' }).map((x) => x.query)).toEqual(['z', 'y']);
  expect(placed([a], undefined, b)).toEqual([a, b]);
  expect([same([a, b], [{ ...a }, b]), same([a], [b])]).toEqual([true, false]);
});
