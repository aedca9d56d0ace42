import { expect, it } from 'vitest';
import type { Backup } from '~/api/schema';
import { addedBytes, cellSentence, copiesGoing, copyName, filteredBackups, keptBecause, lanes, lastDays, placesOf, restorable, stayOf, tookSeconds, trouble, unusable, whatIsLeft } from './model';

const now = new Date(2026, 10, 20, 14).getTime();
const at = (day: number, hour = 3) => new Date(2026, 10, day, hour).toISOString();
const backup = (over: Partial<Backup>): Backup =>
  ({ id: 'bk', cluster: 'shop', status: 'completed', proof: 'verified', kind: 'scheduled', created_at: at(20), description: '', method: 'Manual local', keep_reason: '', copies: [{ storage: 'local', status: 'completed', added_bytes: 5 }], ...over }) as Backup;

it('draws a cell a day, who has no good one first', () => {
  const all = [
    backup({ id: 'a', created_at: at(20) }),
    backup({ id: 'b', created_at: at(18), status: 'failed' }),
    backup({ id: 'c', cluster: 'cache', created_at: at(19), status: 'partial' }),
    backup({ id: 'd', created_at: at(17), proof: 'suspicious' }),
    backup({ id: 'e', created_at: at(16), status: 'deleting' }),
  ];
  const [cache, shop] = lanes(['shop', 'cache'], all, now);
  expect([cache?.cluster, shop?.cluster]).toEqual(['cache', 'shop']);
  expect(shop?.cells).toHaveLength(14);
  expect(shop?.cells.slice(-5).map((c) => c.state)).toEqual(['none', 'partial', 'failed', 'none', 'good']);
  expect(cache?.cells.at(-2)?.state).toBe('partial');
  expect(lastDays(now, 14).at(-1)).toBe(new Date(2026, 10, 20).getTime());
});

it('lets one good backup of a day count, and says the rest', () => {
  const all = [backup({ id: 'a' }), backup({ id: 'b', status: 'failed' }), backup({ id: 'c', proof: 'suspicious' })];
  const today = lanes(['shop'], all, now)[0]!.cells.at(-1)!;
  expect(today.state).toBe('good');
  expect(cellSentence(today)).toBe('1 good, 1 failed, 1 suspicious');
  expect(cellSentence({ day: 0, state: 'none', backups: [] })).toBe('no backup');
});

it('knows from which something can be brought back', () => {
  expect(restorable(backup({ status: 'partial' }))).toBe(true);
  expect(restorable(backup({ status: 'partial', copies: [{ storage: 'x', status: 'failed' }] as never }))).toBe(false);
  expect(unusable(backup({ status: 'running' }))).toBe('It is being made.');
  expect(unusable(backup({}))).toBeUndefined();
});

it('filters by the days of the reader, the last one whole', () => {
  const all = [backup({ id: 'a', created_at: at(18, 0) }), backup({ id: 'b', created_at: at(19, 23) }), backup({ id: 'c', created_at: at(20, 0) })];
  expect(filteredBackups(all, { from: '2026-11-18', until: '2026-11-19' }).map((b) => b.id)).toEqual(['a', 'b']);
  expect(filteredBackups(all, { storage: 'elsewhere' })).toEqual([]);
});

it('says what went wrong, what it took and why it is kept', () => {
  const b = backup({ finished_at: new Date(Date.parse(at(20)) + 41_000).toISOString(), keep_reason: '7 days, until 2026-12-07T10:19:15.745989Z' });
  expect([tookSeconds(b), addedBytes(b), keptBecause(b)]).toEqual([41, 5, '7 days']);
  expect(tookSeconds(backup({}))).toBeUndefined();
  expect(trouble(backup({ copies: [{ storage: 's3', status: 'failed', error: 'access denied' }] as never }))).toBe('s3: access denied');
});

it('takes a copy that went before its backup for no failure', () => {
  const copies = [
    { storage: 'local', status: 'expired', error: 'gone long ago', keep_reason: 'removed when its time in this storage was over; the backup stays elsewhere' },
    { storage: 'near', status: 'deleting', deleting_until: at(22), expires_at: at(20) },
    { storage: 's3', status: 'completed', expires_at: at(27) },
    { storage: 'far', status: 'completed' },
  ] as Backup['copies'];
  const b = backup({ copies });
  expect([trouble(b), unusable(b), placesOf(b)]).toEqual([undefined, undefined, ['near', 's3', 'far']]);
  expect(copies.map(stayOf)).toEqual([{ is: 'gone', why: copies[0]?.keep_reason }, { is: 'going', until: at(22) }, { is: 'until', until: at(27) }, undefined]);
  expect(stayOf({ ...copies[2], keep_reason: 'kept though its time in this storage was over: it is pinned' } as never)?.is).toBe('kept');
  expect(copies.map(copyName)).toEqual(['local: expired, its time there was over', 'near: deleting', 's3: completed', 'far: completed']);
  expect(copyName({ storage: 's3', status: 'failed', error: 'access denied' })).toBe('s3: failed, access denied');
});

it('knows single copies that can still be kept', () => {
  const going = [{ storage: 'local', status: 'deleting', deleting_until: at(22) }, { storage: 'far', status: 'completed' }] as Backup['copies'];
  expect(copiesGoing(backup({ copies: going }))).toBe(true);
  expect(copiesGoing(backup({ copies: [{ storage: 'local', status: 'deleting' }] as never }))).toBe(false);
  expect([copiesGoing(backup({})), copiesGoing(backup({ status: 'deleting', deleting_until: at(22), copies: going }))]).toEqual([false, false]);
});

it('says what a deletion leaves', () => {
  const b = backup({ id: 'a' });
  expect(whatIsLeft(b, [b])).toContain('last good backup of shop');
  expect(whatIsLeft(b, [b, backup({ id: 'b' })])).toBe('1 other good backup of shop stay.');
  expect(whatIsLeft(backup({ status: 'failed' }), [])).toContain('no good backup');
});

it('looks through ten thousand backups of five hundred clusters once', () => {
  const names = Array.from({ length: 500 }, (_, n) => `c-${n}`);
  const noon = new Date(2026, 10, 20, 12).getTime();
  let reads = 0;
  const many = Array.from({ length: 10_000 }, (_, n) => ({
    cluster: `c-${n % 500}`,
    status: 'completed',
    proof: 'verified',
    get created_at() {
      reads += 1;
      return new Date(noon - (n % 20) * 86_400_000).toISOString();
    },
  })) as never;
  const made = lanes(names, many, noon);
  expect(made).toHaveLength(500);
  expect(made.flatMap((l) => l.cells).reduce((sum, c) => sum + c.backups.length, 0)).toBe(7000);
  expect(reads).toBe(10_000);
});
