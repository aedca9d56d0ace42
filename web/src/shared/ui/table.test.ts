import { expect, it } from 'vitest';
import { sorted, steady } from './table';

const rows = [
  { id: 'b', n: 2 },
  { id: 'a', n: null },
  { id: 'c', n: 10 },
];
const columns = [{ id: 'n', sort: (r: (typeof rows)[number]) => r.n }];
const ids = (list: { id: string }[]) => list.map((r) => r.id).join('');

it('sorts what is not known last, both ways', () => {
  expect(ids(sorted(rows, columns, { by: 'n' }))).toBe('bca');
  expect(ids(sorted(rows, columns, { by: 'n', down: true }))).toBe('cba');
  expect(ids(sorted(rows, columns, undefined, (a, b) => a.id.localeCompare(b.id)))).toBe('abc');
});

it('keeps the places of rows under the pointer, takes out what is gone and lets the new wait', () => {
  const id = (r: { id: string }) => r.id;
  expect(steady(['c', 'x', 'b'], rows, id)).toEqual({ shown: [rows[2], rows[0]], waiting: 1 });
});
