import { expect, it } from 'vitest';
import type { Parameter } from '~/api/schema';
import { changed, fault, rangeOf } from './model';

const parameter = (kind: Parameter['kind'], name = 'p', value = '100'): Parameter => ({ name, kind, default: value, needs_restart: true, description: '' });
const number = parameter({ type: 'integer', min: 10, max: 10_000 });
const size = parameter({ type: 'size', min: 65_536, max: 68_719_476_736 });

it('names the range', () => {
  expect(rangeOf(number)).toBe('10 – 10000');
  expect(rangeOf(size)).toBe('64kB – 64GB, like 64MB');
  expect(rangeOf(parameter({ type: 'duration', min: 30_000, max: 86_400_000 }))).toBe('30 s – 24 h, like 5min');
});

it.each([
  [number, '200', undefined],
  [number, '5', 'Between 10 and 10000.'],
  [number, '12.5', 'Between 10 and 10000.'],
  [number, 'many', 'Between 10 and 10000.'],
  [size, '8MB', undefined],
  [size, '1kB', 'Between 64kB and 64GB, like 64MB.'],
  [size, '8 constructor', 'Between 64kB and 64GB, like 64MB.'],
  [parameter({ type: 'one_of', values: ['on', 'local'] }), 'off', 'One of on, local.'],
])('holds %o to its kind', (p, value, said) => expect(fault(p, value)).toBe(said));

it('tells a change from what is the same, and what goes back', () => {
  const all = [number, { ...size, name: 'q', default: '4MB' }];
  expect(changed(all, { q: '8MB' }, { p: '100', q: null }).map((c) => [c.parameter.name, c.from, c.to, c.reset])).toEqual([['q', '8MB', '4MB', true]]);
});
