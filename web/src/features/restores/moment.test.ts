import { expect, it, vi } from 'vitest';
import type { Backup, PointInTime } from '~/api/schema';
import { backupBeside, byKey, inWords, momentFault, scaleOf, settled, twin, windowOf, written, type Window } from './moment';

const at = (text: string) => Date.parse(`2026-11-20T${text}Z`);
const now = at('14:21:00');
const clock = { timeZone: 'Europe/Berlin' };
const kept = (part: Partial<PointInTime>): PointInTime => ({ on: true, gaps: [], breaks: [], storages: [], ...part }) as PointInTime;
const w: Window = { from: at('03:14:00'), to: at('14:20:58'), gaps: [{ from: at('05:00:00'), to: at('06:00:00') }] };
const backup = (finished: string, status = 'completed') => ({ id: finished, created_at: `2026-11-20T${finished}Z`, finished_at: `2026-11-20T${finished}Z`, status, copies: [{ status: 'completed' }] }) as Backup;
const backups = [backup('12:00:00.400'), backup('08:00:00'), backup('09:00:00', 'failed'), backup('02:00:00')];

it('takes whole seconds that lie inside, and no window where there is none', () => {
  const found = windowOf(kept({ from: '2026-11-20T03:13:59.200Z', to: '2026-11-20T14:20:58.900Z', gaps: [{ from: '2026-11-20T05:00:00Z', to: '2026-11-20T06:00:00Z' }] }));
  expect(found).toEqual(w);
  expect(windowOf(kept({ from: null, to: null }))).toBeUndefined();
  expect(windowOf(kept({ from: '2026-11-20T03:14:00.2Z', to: '2026-11-20T03:14:00.9Z' }))).toBeUndefined();
  expect(windowOf(null)).toBeUndefined();
});

it('steps over gaps to the side that is walked to, and stays inside', () => {
  expect(settled(w, at('05:30:00'), 1)).toBe(at('06:00:00'));
  expect(settled(w, at('05:30:00'), -1)).toBe(at('05:00:00'));
  expect(settled(w, at('01:00:00'))).toBe(w.from);
  expect(settled(w, at('23:00:00'))).toBe(w.to);
  expect(settled(w, at('13:00:00') + 700)).toBe(at('13:00:00'));
});

it('is walked by keys', () => {
  const press = (key: string, shift = false, from = at('13:05:30')) => byKey(key, shift, from, w, backups);
  expect(press('ArrowLeft')).toBe(at('13:04:30'));
  expect(press('ArrowRight', true)).toBe(at('14:05:30'));
  expect(press('ArrowRight', false, at('04:59:30'))).toBe(at('06:00:00'));
  expect(press('PageUp')).toBe(at('12:00:01'));
  expect(press('PageUp', false, at('08:00:00'))).toBe(w.from);
  expect(press('PageDown')).toBe(w.to);
  expect([press('Home'), press('End'), press('x')]).toEqual([w.from, w.to, undefined]);
  expect(backupBeside(backups, w, at('10:00:00'), -1)).toBe(at('08:00:00'));
});

it('says why a moment cannot be had', () => {
  expect(momentFault(w, at('13:05:30'), now, clock)).toBeUndefined();
  expect(momentFault(w, at('05:30:00'), now, clock)).toBe('The log has a gap from 06:00:00 today to 07:00:00 today.');
  expect(momentFault(w, at('02:00:00'), now, clock)).toContain('The log begins 04:14:00 today');
  expect(momentFault(w, at('14:20:59'), now, clock)).toBe('The log is stored up to 15:20:58 today.');
  expect(momentFault(w, at('15:00:00'), now, clock)).toBe('It has not been yet.');
  expect(momentFault(w, undefined, now, clock)).toContain('to the second');
});

it('reads and is written to the second', () => {
  expect(inWords(at('13:05:30'), now, clock)).toBe('14:05:30 today');
  expect(written(at('13:05:30'))).toBe('2026-11-20T13:05:30Z');
});

it('draws the window with room at its ends', () => {
  const scale = scaleOf(w, now);
  expect(scale.place(w.from)).toBeGreaterThan(0);
  expect(scale.place(now)).toBeLessThan(1);
  expect(scale.place(at('08:00:00'))).toBeLessThan(scale.place(at('09:00:00')));
});

it('knows the hour that a clock shows twice', () => {
  vi.stubEnv('TZ', 'Europe/Berlin');
  const [first, second] = [Date.parse('2026-10-25T00:30:00Z'), Date.parse('2026-10-25T01:30:00Z')];
  expect([twin(first), twin(second), twin(first - 3_600_000)]).toEqual([second, first, undefined]);
  vi.unstubAllEnvs();
});
