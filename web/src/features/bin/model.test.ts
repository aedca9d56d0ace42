import { expect, it } from 'vitest';
import { goneIn, inBin } from './model';

const now = Date.parse('2026-11-20T12:00:00Z');

it('counts down in days, then in hours, then says it loud', () => {
  expect(goneIn('2026-12-05T12:30:00Z', now)).toEqual({ text: 'in 15 days', tone: 'idle' });
  expect(goneIn('2026-11-22T11:30:00Z', now)).toEqual({ text: 'in 47 hours', tone: 'warn' });
  expect(goneIn('2026-11-20T13:00:00Z', now)).toEqual({ text: 'in 1 hour', tone: 'warn' });
  expect(goneIn('2026-11-20T12:30:00Z', now).tone).toBe('bad');
  expect(goneIn('2026-11-20T11:00:00Z', now).text).toBe('Any moment');
  expect(goneIn(null, now).tone).toBe('idle');
});

it('holds deleted clusters alone, the first to go first', () => {
  const all = [
    { name: 'a', status: 'deleted', deleted_until: '2026-12-05T00:00:00Z' },
    { name: 'b', status: 'running' },
    { name: 'c', status: 'deleted', deleted_until: '2026-11-21T00:00:00Z' },
  ];
  expect(inBin(all as never).map((c) => c.name)).toEqual(['c', 'a']);
});
