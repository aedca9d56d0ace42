import { expect, it } from 'vitest';
import { alertLook, emptyNotifier, eventsText, notifierBody, notifierFaults, notifierLook } from './model';

it('never shows an alert that holds as good', () => {
  expect(alertLook({ state: 'open' }).tone).toBe('bad');
  expect(alertLook({ state: 'open', acknowledged_at: 'x' }).tone).toBe('warn');
  expect(alertLook({ state: 'cleared' }).tone).toBe('idle');
});

it('knows a notifier that never delivered from one that does', () => {
  expect(notifierLook({ enabled: true }).tone).toBe('unknown');
  expect(notifierLook({ enabled: true, last_delivered_at: 'x' }).tone).toBe('good');
  expect(notifierLook({ enabled: true, last_delivered_at: 'x', failing_since: 'y' }).tone).toBe('bad');
  expect(notifierLook({ enabled: false, failing_since: 'y' }).tone).toBe('idle');
});

it('finds what is wrong, and sends what its kind takes', () => {
  expect(Object.keys(notifierFaults(emptyNotifier))).toEqual(['name', 'url']);
  expect(Object.keys(notifierFaults({ ...emptyNotifier, kind: 'email', name: 'mail' }))).toEqual(['smtp', 'from', 'to']);
  const hook = { ...emptyNotifier, name: 'ops', url: 'https://hooks.example.org/x', smtp: 'left over' };
  expect(notifierFaults({ ...hook, secret: 'short' }).secret).toContain('16 to 256');
  expect(notifierBody(hook)).toEqual({ kind: 'webhook', name: 'ops', url: 'https://hooks.example.org/x' });
  const mail = { ...emptyNotifier, kind: 'email' as const, name: 'mail', smtp: 'smtps://m', from: 'a@b.c', to: 'x@y.z, u@v.w', events: ['failover'] };
  expect(notifierBody(mail)).toEqual({ kind: 'email', name: 'mail', smtp: 'smtps://m', from: 'a@b.c', to: ['x@y.z', 'u@v.w'], events: ['failover'] });
});

it('says what is passed on', () => {
  expect(eventsText(['all'])).toContain('Everything');
  expect(eventsText(['backup_failed', 'new_thing'])).toBe('Backup failed, New thing');
  expect(eventsText([])).toBe('Nothing');
});
