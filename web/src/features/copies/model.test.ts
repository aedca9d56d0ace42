import { expect, it } from 'vitest';
import { bodyOf, copyFaults, hasFaults, placesText, shortened } from './model';

const places = ['local', 'far'];

it('takes a shorter time in some storages, never in all', () => {
  expect(hasFaults(copyFaults({ places, days: { local: 7 }, most: 90 }))).toBe(false);
  expect(hasFaults(copyFaults({ places, days: {} }))).toBe(false);
  expect(copyFaults({ places, days: { local: 7, far: 30 }, most: 90 }).rule).toContain('leave that one empty');
  // As many days as the backup is kept shorten nothing.
  expect(hasFaults(copyFaults({ places, days: { local: 7, far: 90 }, most: 90 }))).toBe(false);
});

it('does not count a storage of snapshots as the one in which copies stay', () => {
  expect(copyFaults({ places: ['local', 'snap'], days: { local: 7 }, snapshots: ['snap'] }).rule).toContain('keeps no snapshots');
  expect(hasFaults(copyFaults({ places: ['local', 'snap'], days: { snap: 2 }, snapshots: ['snap'] }))).toBe(false);
});

it('says under each field what is wrong with it', () => {
  expect(copyFaults({ places, days: { local: 100 }, most: 90 }).of).toEqual({ local: 'The backup itself is kept 90 days: no copy is kept longer.' });
  expect(copyFaults({ places, days: { local: 100 } }).of).toEqual({});
  for (const typed of [0, 1.5, 36_501, '-']) expect(copyFaults({ places, days: { local: typed } }).of).toEqual({ local: 'Use 1 to 36500 days, or leave it empty.' });
});

it('says nothing of one storage, or of one that is not chosen', () => {
  expect(hasFaults(copyFaults({ places: ['local'], days: { local: 7 } }))).toBe(false);
  expect(bodyOf({ places: ['local'], days: { local: 7 } })).toEqual({});
  expect(bodyOf({ places, days: { local: 7, far: '', gone: 3 } })).toEqual({ local: 7 });
});

it('says where copies are kept, and how long', () => {
  expect(placesText(places, { local: 7 })).toBe('local for 7 days, far');
  expect(placesText(['local'], { local: 1 })).toBe('local for 1 day');
  expect(placesText(['constructor'], {})).toBe('constructor');
  expect(placesText(places, undefined)).toBe('local, far');
});

it('knows where less is kept than before', () => {
  expect([shortened(places, {}, { local: 7 }), shortened(places, { local: 7 }, { local: 3 }), shortened(places, { local: 7 }, { local: 9 }), shortened(places, { local: 7 }, { local: '' })]).toEqual([true, true, false, false]);
});
