import { expect, it } from 'vitest';
import type { Curves, NodeCurves } from '~/api/schema';
import { latest, metrics, sentence, seriesOf, silentSince, summary, toFull } from './model';

const node = (name: string, series: NodeCurves['series'], more: Partial<NodeCurves> = {}): NodeCurves => ({ id: name, name, role: 'replica', series, ...more });
const curves = (times: number[], ...nodes: NodeCurves[]): Curves => ({ step_seconds: 15, times, nodes });
const a = node('a', { cpu_percent: [10, null, 30, null] });
const b = node('b', { cpu_percent: [5, null, null, null] });
const all = curves([0, 15, 30, 45], a, b);
const cpu = metrics[0]!;

it('puts the nodes on one axis; what is not known is null, and never a zero', () => {
  expect(seriesOf(all, 'cpu_percent', all.nodes)).toEqual({ t: [0, 15, 30, 45], series: { a: [10, null, 30, null], b: [5, null, null, null] } });
  expect(seriesOf(all, 'lag_bytes', [a]).series).toEqual({ a: [null, null, null, null] });
});

it('takes the newest value while it is young', () => {
  expect([latest(all, a, 'cpu_percent'), latest(all, b, 'cpu_percent'), latest(all, undefined, 'cpu_percent'), latest(all, a, 'connections')]).toEqual([30, null, null, null]);
});

it('says since when a node is silent', () => {
  expect(silentSince(all, a)).toBeUndefined();
  expect(silentSince(all, b)).toEqual({ since: 0 });
  expect(silentSince(all, node('c', {}))).toEqual({});
});

it('tells the highest, and all of it in a sentence', () => {
  expect(summary(all, a, 'cpu_percent')).toEqual({ now: 30, highest: 30, at: 30 });
  expect(summary(all, b, 'cpu_percent')).toEqual({ now: null, highest: 5, at: 0 });
  expect(sentence(cpu, all, all.nodes)).toBe('CPU of 2 nodes: a now 30 %, highest 30 %; b now not known, highest 5 %.');
});

it('says when the first disk is full', () => {
  expect(toFull([a])).toBeUndefined();
  expect(toFull([node('x', {}, { days_to_full: 61.7 }), node('y', {}, { days_to_full: 90 })])).toBe('61 days to full');
  expect([toFull([node('x', {}, { days_to_full: 1.2 })]), toFull([node('x', {}, { days_to_full: 0.4 })])]).toEqual(['1 day to full', 'less than a day to full']);
});
