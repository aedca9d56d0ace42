import { expect, it } from 'vitest';
import { age, coarse, duration, exact, moment, parse } from './time';

const zone = { timeZone: 'Europe/Berlin' };
const at = (text: string) => Date.parse(text);
const now = at('2026-11-20T13:21:00Z');

it.each([
  ['2026-11-20T02:14:00Z', '03:14 today'],
  ['2026-11-19T23:30:00Z', '00:30 today'],
  ['2026-11-21T02:00:00Z', '03:00 tomorrow'],
  ['2026-11-19T02:14:00Z', '03:14 yesterday'],
  ['2026-11-17T02:14:00Z', 'Tue 03:14'],
  ['2026-11-23T02:00:00Z', 'Mon 03:00'],
  ['2026-10-20T02:14:00Z', '20 Oct 2026, 04:14'],
])('%s reads %s', (text, read) => expect(moment(at(text), now, zone)).toBe(read));

it('knows the 12-hour clock', () => {
  expect(moment(at('2026-11-20T12:05:00Z'), now, { ...zone, hour12: true })).toBe('01:05 pm today');
});

it.each([
  ['2026-11-20T13:20:58Z', 'now'],
  ['2026-11-20T13:17:00Z', '4 min ago'],
  ['2026-11-20T22:21:00Z', 'in 9 h'],
  ['2026-11-18T13:21:00Z', '2 d ago'],
  ['2026-11-01T13:21:00Z', '1 Nov 2026'],
])('%s was %s', (text, read) => expect(age(at(text), now, zone)).toBe(read));

it.each([
  [0, '0 s'],
  [0.42, '0.4 s'],
  [41.2, '41 s'],
  [59.7, '1 min'],
  [70, '1 min 10 s'],
  [11_100, '3 h 5 min'],
  [1_036_800, '12 d'],
])('%d seconds are %s', (seconds, read) => expect(duration(seconds)).toBe(read));

it('is exact from near, and forgives nonsense', () => {
  expect(exact(at('2026-11-20T02:14:07Z'))).toBe('2026-11-20 02:14:07 UTC');
  expect([parse(null), parse(''), parse('soon')]).toEqual([undefined, undefined, undefined]);
  expect(coarse(59_900)).toBe('59 s');
});
