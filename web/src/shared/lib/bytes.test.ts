import { expect, it } from 'vitest';
import { bytes, count, exactBytes, percent } from './bytes';

it.each([
  [0, '0 B'],
  [980, '980 B'],
  [999.7, '1 kB'],
  [1_200_000, '1.2 MB'],
  [999_600, '1 MB'],
  [12_400_000_000, '12.4 GB'],
  [123_400_000_000, '123 GB'],
  [-1500, '−1.5 kB'],
])('%d is %s', (n, text) => expect(bytes(n)).toBe(text));

it('tells the exact number, one thing and many', () => {
  expect(exactBytes(12_412_345)).toBe('12,412,345 bytes');
  expect([count(1, 'node'), count(1204, 'entry', 'entries'), count(0, 'copy', 'copies')]).toEqual(['1 node', '1,204 entries', '0 copies']);
});

it('has no decimals above one percent', () => {
  expect([percent(0), percent(0.44), percent(12.6)]).toEqual(['0 %', '0.4 %', '13 %']);
});
