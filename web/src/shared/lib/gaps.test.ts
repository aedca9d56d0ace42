import { expect, it } from 'vitest';
import { gapsOf } from './gaps';

const t = [0, 5, 10, 15, 20, 25, 30, 35];

it('finds what nobody knows between two known moments', () => {
  expect(gapsOf(t, [[1, null, null, 2, 3, 4, 5, 6]])).toEqual([{ from: 0, to: 15 }]);
  expect(gapsOf(t, [[1, null, null, 2, 3, 4, 5, 6], [null, 7, 7, null, null, null, null, null]])).toEqual([]);
});

it('does not take the time before the first, nor the newest pieces, for a gap', () => {
  expect(gapsOf(t, [[null, null, null, 2, 3, 4, null, null]])).toEqual([]);
  expect(gapsOf(t, [[1, 2, 3, null, null, null, null, null]])).toEqual([{ from: 10, to: 35 }]);
  expect([gapsOf(t, [t.map(() => null)]), gapsOf([], [])]).toEqual([[], []]);
});
