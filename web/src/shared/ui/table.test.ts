import { expect, it } from 'vitest';
import { changed, sorted, steady } from './table';

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
  // What comes after them all moves none of them.
  expect(steady(['b'], rows, id)).toEqual({ shown: rows, waiting: 0 });
  expect(steady(['a'], rows, id)).toEqual({ shown: [rows[1], rows[2]], waiting: 1 });
});

it('knows which rows say something else than before', () => {
  const id = (r: { id: string }) => r.id;
  const says = (r: (typeof rows)[number]) => String(r.n);
  const before = new Map(rows.map((r) => [r.id, r]));
  const now = [rows[0]!, { id: 'a', n: 1 }, { ...rows[2]! }, { id: 'd', n: 4 }];
  expect([...changed(before, now, id, says)]).toEqual(['a']);
});
