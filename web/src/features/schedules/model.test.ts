import { expect, it } from 'vitest';
import type { Schedule } from '~/api/schema';
import { bodyOf, draftOf, faults, flippedDays, grid, keptAtOnce, retentionText, tighter, toggledDay, toggledHour, whenOf, whenText } from './model';

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
  const before = { name: 'x', every_day: true, every_hour: false, days: [], hours: [3], time_zone: 'UTC', storages: ['local'], retention: { days: 7, gfs: { weekly: 4 } } } as unknown as Schedule;
  const draft = { ...draftOf(before, 'UTC', []), keepDays: 14 };
  expect(bodyOf(draft, before)).toEqual({ name: 'x', every_day: true, hours: [3], time_zone: 'UTC', retention: { gfs: { weekly: 4 }, max_bytes: undefined, days: 14 }, storages: ['local'] });
});
