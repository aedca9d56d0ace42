import { expect, it } from 'vitest';
import { join, Ring, summary, type Sample } from './model';

const at = (seconds: number, more: Partial<Sample> = {}): Sample => ({
  at: seconds * 1000,
  cpu_seconds: 0,
  memory: 1,
  diskUsed: 1,
  connections: 1,
  lagBytes: null,
  lagSeconds: null,
  ...more,
});

it('makes a rate of a counter, and none where it began anew', () => {
  const ring = new Ring();
  [at(0, { cpu_seconds: 1 }), at(5, { cpu_seconds: 2 }), at(10, { cpu_seconds: 0.5 }), at(15, { cpu_seconds: 1.5 })].forEach((s) => ring.push(s));
  expect(ring.series('cpu').y).toEqual([null, 20, null, 20]);
});

it('leaves a gap where nobody looked, and forgets after a quarter of an hour', () => {
  const ring = new Ring();
  [at(0), at(5), at(60)].forEach((s) => ring.push(s));
  expect(ring.series('memory')).toEqual({ x: [0, 5, 6, 60], y: [1, 1, null, 1] });
  ring.push(at(905));
  expect(ring.length).toBe(3);
});

it('puts nodes on one axis and tells the highest', () => {
  expect(join([{ x: [1, 3], y: [5, null] }, { x: [2, 3], y: [7, 8] }])).toEqual([[1, 2, 3], [5, undefined, null], [undefined, 7, 8]]);
  expect(summary({ x: [1, 2, 3], y: [4, 9, null] })).toEqual({ now: null, highest: 9, at: 2 });
});
