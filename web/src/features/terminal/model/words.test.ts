import { expect, it } from 'vitest';
import type { Cluster } from '~/api/schema';
import { blocked, endSentence, nodeOf } from './words';

const node = (name: string, role: string, status = 'running') => ({ id: `nd_${name}`, name, role, status }) as Cluster['nodes'][number];
const nodes = [node('db-1', 'replica'), node('db-2', 'primary')];

it('opens where writes go unless another node is named', () => {
  expect(nodeOf({ nodes })?.name).toBe('db-2');
  expect(nodeOf({ nodes }, 'db-1')?.name).toBe('db-1');
  expect(nodeOf({ nodes }, 'gone-7')?.name).toBe('db-2');
  expect(nodeOf({ nodes: [] })).toBeUndefined();
});

it('says why none can be opened', () => {
  const cluster = { name: 'db', status: 'running' } as Cluster;
  expect(blocked(cluster, nodes[0])).toBeUndefined();
  expect(blocked({ ...cluster, status: 'stopped' }, nodes[0])).toBe('db is stopped. Start it first.');
  expect(blocked(cluster, node('db-3', 'replica', 'failed'))).toBe('db-3 does not run.');
  expect(blocked(cluster, undefined)).toBe('db has no node yet.');
});

it('ends with one sentence', () => {
  expect(endSentence({ code: 'idle', reason: 'x' })).toBe('Ended after 15 min without input.');
  expect(endSentence({ code: 'node_gone', reason: 'db-1 is no longer reachable: closed' })).toBe('Ended: db-1 is no longer reachable: closed.');
  expect(endSentence({ code: 'refused', reason: 'you have 5 open.' })).toBe('You have 5 open.');
});
