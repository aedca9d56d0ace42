import { expect, it } from 'vitest';
import { lookOf, statuses, trouble } from './statuses';

it('never shows as good what it does not know', () => {
  const look = lookOf('node', 'half_asleep');
  expect([look.word, look.tone]).toEqual(['Half asleep', 'unknown']);
  expect(lookOf('cluster', 'toString').tone).toBe('unknown');
  expect(lookOf('cluster', '').word).toBe('Unknown');
});

it('has a word for each status of the contract', () => {
  const of = (noun: keyof typeof statuses) => Object.keys(statuses[noun]).toSorted().join(' ');
  expect(of('cluster')).toBe('creating degraded deleted deleting failed failing_over restoring running stopped unreachable updating');
  expect(of('node')).toBe('creating failed fenced lagging running seeding stopped unknown');
  expect(of('backup')).toBe('completed deleting expired failed partial running');
  expect(of('proof')).toBe('drilled none suspicious verified');
  expect(of('restore')).toBe('completed failed running undone');
  expect(of('operation')).toBe('cancelled failed queued running stuck succeeded unwinding');
});

it('puts trouble first', () => {
  expect(trouble('bad')).toBeLessThan(trouble('warn'));
  expect(trouble('unknown')).toBeLessThan(trouble('good'));
});
