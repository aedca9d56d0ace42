import { expect, it } from 'vitest';
import type { Operation } from '~/api/schema';
import { barOf, choices, filteredOperations, merged, tray } from './model';

const now = Date.parse('2026-11-20T13:21:00Z');
const op = (id: string, status: Operation['status'], ended?: string): Operation =>
  ({ id, kind: 'add_node', status, cluster: 'shop', finished_at: ended, steps: [], percent: 0, point_of_no_return_passed: false }) as never;
const none = new Set<string>();

it('shows what runs, then what ended within the hour', () => {
  const all = [op('a', 'succeeded', '2026-11-20T13:00:00Z'), op('b', 'stuck'), op('c', 'failed', '2026-11-20T11:00:00Z')];
  const { running, ended } = tray(all, now);
  expect([running.map((o) => o.id), ended.map((o) => o.id)]).toEqual([['b'], ['a']]);
});

it('keeps a failure until it was read, and a success for ten seconds', () => {
  const failed = op('c', 'failed', '2026-11-20T12:00:00Z');
  expect(barOf([failed], now, none)?.id).toBe('c');
  expect(barOf([failed], now, new Set(['c']))).toBeUndefined();
  expect(barOf([op('d', 'succeeded', '2026-11-20T13:20:55Z')], now, none)?.id).toBe('d');
  expect(barOf([op('d', 'succeeded', '2026-11-20T13:20:45Z')], now, none)).toBeUndefined();
  expect(barOf([op('e', 'succeeded', '2026-11-20T13:20:59Z'), op('f', 'running')], now, none)?.id).toBe('f');
});

it('offers to cancel only while that undoes it', () => {
  expect(choices(op('a', 'running'))).toEqual(['cancel']);
  expect(choices({ ...op('a', 'running'), point_of_no_return_passed: true })).toEqual([]);
  expect(choices(op('a', 'stuck'))).toEqual(['retry', 'skip', 'abandon']);
  expect(choices(op('a', 'succeeded', '2026-11-20T13:00:00Z'))).toEqual([]);
});

it('shows what runs first, and what needs a decision apart', () => {
  const all = [op('a', 'running'), op('b', 'stuck'), op('c', 'succeeded', '2026-11-20T13:00:00Z')];
  expect(filteredOperations(all, {}).map((o) => o.id)).toEqual(['a']);
  expect(filteredOperations(all, { show: 'decision' }).map((o) => o.id)).toEqual(['b']);
  expect(filteredOperations(all, { show: 'all', cluster: 'other' })).toEqual([]);
});

it('knows an operation once, however many lists it is in', () => {
  const at = (id: string, created_at: string, status: Operation['status']) => ({ ...op(id, status), created_at });
  const both = merged([at('a', '2026-11-20T10:00:00Z', 'running')], [at('b', '2026-11-20T12:00:00Z', 'failed'), at('a', '2026-11-20T10:00:00Z', 'succeeded')]);
  expect(both.map((o) => [o.id, o.status])).toEqual([['b', 'failed'], ['a', 'succeeded']]);
});
