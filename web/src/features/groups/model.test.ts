import { expect, it } from 'vitest';
import type { GroupBackup } from '~/api/schema';
import { lanesOf, membersChange, membersFault, newestWhole, partOf, partsText, suffixFault } from './model';

const now = Date.parse('2026-11-20T12:00:00Z');
const whole = (id: string, at: string, restorable: boolean, statuses: (string | null)[]): GroupBackup =>
  ({
    id,
    created_at: at,
    status: 'completed',
    restorable,
    parts: statuses.map((status, n) => ({ cluster: `c${n}`, backup_id: `b${n}`, backup: status ? { status } : null })),
  }) as never;
const good = whole('g', '2026-11-19T12:00:00Z', true, ['completed', 'completed']);
const torn = whole('t', '2026-11-20T11:00:00Z', false, ['completed', null]);

it('lays points on one axis and calls whole only what can be restored', () => {
  const { points } = lanesOf([torn, good], now);
  expect(points.map((p) => [p.backup.id, p.whole])).toEqual([['g', true], ['t', false]]);
  expect(points[0]!.place).toBeLessThan(points[1]!.place);
});

it('knows each part', () => {
  expect([partOf(good, 'c0'), partOf(torn, 'c1'), partOf(good, 'other')]).toEqual(['there', 'missing', 'missing']);
  expect(partOf(whole('x', '', false, ['failed']), 'c0')).toBe('failed');
  expect(partsText(torn)).toBe('1 of 2 parts');
  expect(newestWhole([torn, good])?.id).toBe('g');
});

it('says what a change of members comes to', () => {
  expect(membersChange(['shop', 'cache'], ['shop', 'search', 'mail'])).toBe('search, mail join; cache leaves');
  expect(membersChange(['shop', 'cache'], ['cache', 'shop'])).toBeUndefined();
  expect([membersFault(['shop']), membersFault(['shop', 'cache'])]).toEqual(['Choose at least two clusters.', undefined]);
});

it('finds a name that is taken', () => {
  expect(suffixFault('restored', ['shop'], ['shop-restored'])).toContain('shop-restored is taken');
  expect(suffixFault('b-', ['shop'], [])).toContain('not ending');
  expect(suffixFault('b', ['shop'], [])).toBeUndefined();
});
