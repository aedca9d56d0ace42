import { expect, it } from 'vitest';
import type { Schedule } from '~/api/schema';
import { bodyOf, copiesTighter, copiesWrong, draftOf, faults, flippedDays, grid, keptAtOnce, retentionText, tighter, toggledDay, toggledHour, whenOf, whenText, whereText } from './model';

const nightly = { name: 'nightly', when: whenOf({ every_day: true, every_hour: false, days: [], hours: [3] } as never) };
const busy = { name: 'busy', when: whenOf({ every_day: false, every_hour: false, days: ['mon', 'wed'], hours: [3, 15] } as never) };

it('puts every run of the week into its hour, also where two meet', () => {
  const cells = grid([nightly, busy]);
  expect(cells).toHaveLength(7);
  expect(cells[0]?.[3]).toEqual(['nightly', 'busy']);
  expect(cells[1]?.[3]).toEqual(['nightly']);
  expect(cells[2]?.[15]).toEqual(['busy']);
  expect(cells.flat().filter((c) => c.length > 0)).toHaveLength(9);
});

it('keeps days and hours in their order', () => {
  expect(toggledDay({ days: ['wed'], hours: [] }, 'mon').days).toEqual(['mon', 'wed']);
  expect(toggledDay({ days: ['mon', 'wed'], hours: [] }, 'mon').days).toEqual(['wed']);
  expect(toggledHour({ days: [], hours: [15] }, 3).hours).toEqual([3, 15]);
  expect(flippedDays({ days: ['mon'], hours: [] }).days).toHaveLength(7);
  expect(flippedDays(flippedDays({ days: [], hours: [] })).days).toEqual([]);
});

it('says when and how long in words', () => {
  expect(whenText(nightly.when)).toBe('every day at 03:00');
  expect(whenText(busy.when)).toBe('Mon, Wed at 03:00, 15:00');
  expect(whenText(whenOf({ every_day: true, every_hour: true, days: [], hours: [] } as never))).toBe('every day, every hour');
  expect(retentionText({ days: 7 })).toBe('keep 7 days');
  expect(retentionText({ days: 1, keep_last: 3 })).toBe('keep 1 day or the newest 3');
  expect(retentionText({ gfs: { daily: 7, weekly: 4 } })).toBe('keep 7 daily, 4 weekly');
  expect(retentionText({ max_bytes: 50_000_000_000 })).toBe('keep the newest 50 GB');
  expect(retentionText({})).toBe('keep until deleted');
});

it('counts how many are kept at once', () => {
  expect(keptAtOnce(nightly.when, 7, undefined)).toBe(7);
  expect(keptAtOnce(busy.when, 14, 3)).toBe(8);
  expect(keptAtOnce(nightly.when, undefined, 5)).toBe(5);
});

it('knows a tighter retention', () => {
  expect(tighter({ days: 14 }, 7, undefined)).toBe(true);
  expect(tighter({ days: 14 }, 30, undefined)).toBe(false);
  expect(tighter({ days: 7, keep_last: 5 }, 7, undefined)).toBe(true);
});

it('finds each fault under its field', () => {
  const empty = { ...draftOf(undefined, 'UTC', []), days: [], hours: [], keepDays: '' };
  expect(Object.keys(faults(empty, [])).toSorted()).toEqual(['days', 'hours', 'name', 'retention', 'storages']);
  const good = { ...draftOf(undefined, 'Europe/Berlin', ['local']), name: 'nightly' };
  expect(faults(good, [])).toEqual({});
  expect(faults(good, ['nightly']).name).toContain('already');
});

it('sends what the form says, and keeps generations it does not show', () => {
  const before = { name: 'x', every_day: true, every_hour: false, days: [], hours: [3], time_zone: 'UTC', storages: ['local'], overlap: 'skip', retention: { days: 7, gfs: { weekly: 4 } } } as unknown as Schedule;
  const draft = { ...draftOf(before, 'UTC', []), keepDays: 14 };
  expect(bodyOf(draft, before)).toEqual({ name: 'x', every_day: true, hours: [3], time_zone: 'UTC', retention: { gfs: { weekly: 4 }, max_bytes: undefined, days: 14 }, storages: ['local'], copy_retention: {}, overlap: 'skip' });
});

const spread = { name: 'x', every_day: true, every_hour: false, days: [], hours: [3], time_zone: 'UTC', storages: ['local', 'far'], copy_retention: { local: 7 }, overlap: 'queue', retention: { days: 90 } } as unknown as Schedule;

it('keeps copies for a shorter time, and what waits waiting', () => {
  const draft = draftOf(spread, 'UTC', []);
  expect(bodyOf(draft, spread)).toMatchObject({ storages: ['local', 'far'], copy_retention: { local: 7 }, overlap: 'queue' });
  expect(bodyOf({ ...draft, copyDays: { local: '' } }, spread).copy_retention).toEqual({});
  expect(bodyOf({ ...draft, storages: ['local'] }, spread).copy_retention).toEqual({});
  expect(whereText(spread)).toBe('local for 7 days, far · waits for the backup before');
  expect(whereText({ storages: ['local'], overlap: 'skip' })).toBe('local');
});

it('holds copies to what the backup is kept, where that is by days alone', () => {
  const draft = { ...draftOf(spread, 'UTC', []), copyDays: { local: 120 } };
  expect(Object.keys(copiesWrong(draft, spread).of)).toEqual(['local']);
  expect(faults(draft, []).copies).toBeDefined();
  expect(copiesWrong({ ...draft, keepLast: 10 }, spread)).toEqual({ of: {} });
  expect(copiesWrong(draft, { ...spread, retention: { days: 90, gfs: { weekly: 4 } } } as never)).toEqual({ of: {} });
  expect(copiesWrong({ ...draft, copyDays: { local: 7, far: 30 } }, spread).rule).toBeDefined();
  expect(copiesWrong({ ...draft, copyDays: { local: 7 } }, spread, ['far']).rule).toContain('snapshots');
});

it('knows where copies go sooner than before', () => {
  const draft = draftOf(spread, 'UTC', []);
  expect([copiesTighter(spread, draft), copiesTighter(spread, { ...draft, copyDays: { local: 3 } }), copiesTighter(spread, { ...draft, storages: ['local'] })]).toEqual([false, true, false]);
});
