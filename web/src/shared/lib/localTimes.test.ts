import { expect, it } from 'vitest';
import { asSentence, localTimes } from './localTimes';

const now = Date.parse('2026-11-20T13:00:00Z');
const clock = { timeZone: 'Europe/Berlin' };

it('shows the moments inside a sentence in the reader’s zone', () => {
  expect(localTimes('data since 2026-11-20T02:14:07.264773Z is replaced', now, clock)).toBe('data since 03:14 today is replaced');
  expect(localTimes('nothing to do', now, clock)).toBe('nothing to do');
});

it('makes a sentence of what the server says', () => {
  expect(asSentence('messages have not arrived since 2026-11-19T02:14:07Z', now, clock)).toBe('Messages have not arrived since 03:14 yesterday.');
  expect(asSentence('Done.', now, clock)).toBe('Done.');
});

it('quotes what the server marks as a command', () => {
  expect(asSentence('the old data stands aside for 3 days; `restore undo` brings it back')).toBe('The old data stands aside for 3 days; “restore undo” brings it back.');
});
