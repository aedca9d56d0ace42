import { expect, it } from 'vitest';
import type { Backup } from '~/api/schema';
import { freeName, line, nameFault, neighbour, newestGood, requestOf } from './model';

const now = Date.parse('2026-11-20T14:00:00Z');
const backup = (id: string, at: string, status: Backup['status'] = 'completed', proof: Backup['proof'] = 'verified'): Backup =>
  ({ id, created_at: at, status, proof, cluster: 'shop', copies: [{ storage: 'local', status: status === 'failed' ? 'failed' : 'completed' }] }) as never;
const old = backup('old', '2026-11-13T14:00:00Z');
const bad = backup('bad', '2026-11-14T14:00:00Z', 'failed');
const young = backup('young', '2026-11-20T03:00:00Z', 'completed', 'suspicious');
const all = [young, bad, old];

it('lays backups on a line that ends now, and tells the gaps between good ones', () => {
  const { marks, gaps, to } = line(all, now);
  expect(to).toBe(now);
  expect(marks.map((m) => m.backup.id)).toEqual(['old', 'bad', 'young']);
  expect(marks[0]!.place).toBeGreaterThan(0);
  expect(marks[2]!.place).toBeLessThan(1);
  expect(marks.map((m) => m.place)).toEqual(marks.map((m) => m.place).toSorted((a, b) => a - b));
  expect(gaps).toEqual([{ from: Date.parse(old.created_at), to: Date.parse(young.created_at) }]);
});

it('leaves out what is going, and copes with none', () => {
  expect(line([backup('x', '2026-11-19T14:00:00Z', 'deleting')], now).marks).toEqual([]);
  expect(line([], now).gaps).toEqual([]);
});

it('walks over what can be restored alone', () => {
  expect(neighbour(all, 'old', 1)?.id).toBe('young');
  expect(neighbour(all, 'young', 1)?.id).toBe('young');
  expect(neighbour(all, 'young', -1)?.id).toBe('old');
  expect(neighbour(all, undefined, 1)?.id).toBe('young');
  expect(neighbour([bad], undefined, 1)).toBeUndefined();
});

it('prefers the newest that nothing speaks against', () => {
  expect(newestGood(all)?.id).toBe('old');
  expect(newestGood([young, bad])?.id).toBe('young');
  expect(newestGood([bad])).toBeUndefined();
});

it('finds a free name and knows a wrong one', () => {
  expect(freeName('shop', [])).toBe('shop-restored');
  expect(freeName('shop', ['shop-restored', 'shop-restored-2'])).toBe('shop-restored-3');
  expect(nameFault('shop-restored', ['shop-restored'], 'default')).toContain('taken');
  expect(nameFault('Shop', [], 'default')).toContain('3 to 40');
  expect(nameFault(freeName('a'.repeat(40), []), [], 'default')).toBeUndefined();
});

it('asks for a plan only when nothing is missing', () => {
  const base = { backup: old, name: 'new-one', other: '', cluster: 'shop' };
  expect(requestOf({ ...base, where: 'new' })).toEqual({ backup: 'old', new: 'new-one' });
  expect(requestOf({ ...base, where: 'new' }, 'wrong')).toBeUndefined();
  expect(requestOf({ ...base, where: 'this', storage: 'local' })).toEqual({ backup: 'old', to: 'shop', storage: 'local' });
  expect(requestOf({ ...base, where: 'other' })).toBeUndefined();
  expect(requestOf({ ...base, backup: undefined, where: 'this' })).toBeUndefined();
  expect(requestOf({ ...base, where: 'this', until: '2026-11-20T13:05:30Z' })).toEqual({ until: '2026-11-20T13:05:30Z', from_cluster: 'shop', to: 'shop' });
  expect(requestOf({ ...base, backup: undefined, where: 'new', until: '2026-11-20T13:05:30Z' })).toEqual({ until: '2026-11-20T13:05:30Z', from_cluster: 'shop', new: 'new-one' });
});
