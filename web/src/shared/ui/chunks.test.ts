import { expect, it } from 'vitest';
import { CHUNK, pieces } from './chunks';

const rows = (n: number) => Array.from({ length: n }, (_, i) => i);

it('leaves a short list whole', () => {
  expect(pieces(rows(0))).toEqual([{ rows: [], start: 0, first: true }]);
  expect(pieces(rows(60))).toHaveLength(1);
});

it('cuts a long one into pieces that hold each row once, and draws the first of them', () => {
  const cut = pieces(rows(10_001));
  expect(cut.flatMap((p) => p.rows)).toEqual(rows(10_001));
  expect(cut.every((p) => p.rows[0] === p.start && p.rows.length <= CHUNK)).toBe(true);
  expect(cut.filter((p) => p.first).length * CHUNK).toBeLessThan(100);
});
