import { expect, it } from 'vitest';
import type { Cluster, Node } from '~/api/schema';
import { edge, removeBlocked, together } from './model';

const node = (name: string, more: Partial<Node> = {}): Node => ({ name, role: 'replica', host: 'a', status: 'running', lag_bytes: 0, ...more }) as Node;
const cluster = (...nodes: Node[]): Cluster => ({ nodes }) as Cluster;

it('says what is lost together', () => {
  expect(together(cluster(node('x-1'), node('x-2', { host: 'b' }), node('x-3')))).toBe('Losing a loses x-1 and x-3 together.');
  expect(together(cluster(node('x-1'), node('x-2', { host: 'b' })))).toBeUndefined();
});

it('keeps the primary and the last node', () => {
  const primary = node('x-1', { role: 'primary' });
  expect(removeBlocked(cluster(primary), primary)).toMatch(/only node/);
  expect(removeBlocked(cluster(primary, node('x-2')), primary)).toMatch(/Promote another/);
  expect(removeBlocked(cluster(primary, node('x-2')), node('x-2'))).toBeUndefined();
});

it('draws no line as good that nobody knows of', () => {
  expect(edge(node('x'))).toBe('streaming');
  expect(edge(node('x', { lag_bytes: null }))).toBe('no_news');
  expect(edge(node('x', { status: 'unknown' }))).toBe('no_news');
  expect(edge(node('x', { status: 'seeding', lag_bytes: null }))).toBe('catching_up');
  expect(edge(node('x', { status: 'lagging' }))).toBe('catching_up');
});
