import { expect, it } from 'vitest';
import { recoverability, type Facts } from './recoverability';

const clock = { timeZone: 'Europe/Berlin' };
const now = Date.parse('2026-11-20T13:21:00Z');
const good: Facts = {
  to: '2026-11-20T02:14:00Z',
  copies: 2,
  copies_verified: 2,
  last_drill_at: '2026-11-18T09:00:00Z',
  last_drill_seconds: 41,
  sentence: '',
};
const said = (facts: Partial<Facts>, context = {}) => recoverability({ ...good, ...facts }, now, context, clock);

it('is good only when all of it is', () => {
  expect(said({})).toEqual({ tone: 'good', text: 'Recoverable to 03:14 today; 2 of 2 copies verified; last drill restored in 41 s.' });
});

it('warns of a copy that is missing, a drill that never was or was long ago', () => {
  expect(said({ copies_verified: 1 })).toMatchObject({ tone: 'warn', text: 'Recoverable to 03:14 today; 1 of 2 copies verified.' });
  expect(said({ last_drill_at: null, last_drill_seconds: null })).toMatchObject({ tone: 'warn', way: 'drill' });
  expect(said({ last_drill_at: '2026-11-01T09:00:00Z' })).toMatchObject({ tone: 'warn', way: 'drill' });
});

it('is bad without a backup and when one is late', () => {
  expect(said({ to: null })).toEqual({ tone: 'bad', text: 'Not recoverable: no good backup yet.', way: 'back_up' });
  const late = said({}, { alerts: [{ kind: 'backup_overdue', sentence: 'No backup since Tue.' }] });
  expect(late).toMatchObject({ tone: 'bad', text: 'Recoverable only to 03:14 today: no backup since Tue.' });
});

it('says from when it is while nothing is heard', () => {
  const heard = said({}, { unreachable: true, heardAt: now - 180_000 });
  expect(heard).toMatchObject({ tone: 'unknown', text: 'Recoverable to 03:14 today when last heard of, 3 min ago.' });
});
