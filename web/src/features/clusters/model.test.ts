import { expect, it } from 'vitest';
import type { Cluster, Node } from '~/api/schema';
import { byTrouble, engineTitle, filtered, needsAttention, nodesSentence, recoverabilityOf } from './model';

const node = (status: Node['status']) => ({ name: `n-${status}`, status, observed_at: '2026-11-20T13:18:00Z' }) as Node;
const cluster = (name: string, more: Partial<Cluster> = {}): Cluster =>
  ({
    id: `cl_${name}`,
    name,
    engine: 'postgres',
    version: '15.18',
    status: 'running',
    nodes: [node('running')],
    alerts: [],
    recoverability: { to: null, copies: 0, copies_verified: 0, sentence: '' },
    ...more,
  }) as Cluster;

it('puts what needs somebody first, then names', () => {
  const list = [cluster('b'), cluster('a'), cluster('z', { status: 'degraded' }), cluster('y', { status: 'failed' }), cluster('m', { status: 'unreachable' })];
  expect(list.toSorted(byTrouble).map((c) => c.name)).toEqual(['y', 'm', 'z', 'a', 'b']);
});

it('counts an alert as trouble although the cluster runs', () => {
  expect(needsAttention(cluster('a'))).toBe(false);
  expect(needsAttention(cluster('a', { alerts: [{ state: 'raised' }] as Cluster['alerts'] }))).toBe(true);
  expect(needsAttention(cluster('a', { alerts: [{ state: 'cleared' }] as Cluster['alerts'] }))).toBe(false);
});

it('filters by all that is asked for together', () => {
  const list = [cluster('shop'), cluster('cache', { engine: 'valkey', version: '8' }), cluster('old', { status: 'stopped' })];
  expect(filtered(list, { q: 'VALKEY' }).map((c) => c.name)).toEqual(['cache']);
  expect(filtered(list, { engine: 'postgres', status: 'running' }).map((c) => c.name)).toEqual(['shop']);
  expect(filtered(list, { only: 'attention' })).toEqual([]);
});

it('says how the nodes are in one line', () => {
  expect(nodesSentence(cluster('a', { nodes: [node('running'), node('running'), node('seeding')] }))).toBe('2 nodes running, 1 seeding');
  expect(nodesSentence(cluster('a', { nodes: [] }))).toBe('No nodes yet');
  expect(engineTitle('constructor', '1')).toBe('constructor 1');
});

it('says of an unreachable cluster from when the news is', () => {
  const now = Date.parse('2026-11-20T13:21:00Z');
  const c = cluster('a', { status: 'unreachable', recoverability: { to: '2026-11-20T02:14:00Z', copies: 1, copies_verified: 1, sentence: '' } });
  expect(recoverabilityOf(c, now, { timeZone: 'UTC' }).text).toBe('Recoverable to 02:14 today when last heard of, 3 min ago.');
});
