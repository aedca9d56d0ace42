import { expect, it } from 'vitest';
import { actorName } from '~/shared/lib/actor';
import { actionTitle, pieces, span } from './model';

it('reads actions and actors as words', () => {
  expect(actionTitle('setSchedule')).toBe('Set schedule');
  expect(actionTitle('sign_in')).toBe('Sign in');
  expect(actorName('token:administrator')).toBe('administrator (token)');
  expect(actorName('user:ann@example.org')).toBe('ann@example.org');
});

it('takes the detail apart, also where braces are inside of strings', () => {
  const parts = pieces('asked {"description":"a } and \\" {","keep":false}; made {"backup":"bk_1"}; operation op_1');
  expect(parts.map((p) => p.name)).toEqual(['asked', 'made', 'operation']);
  expect(JSON.parse(parts[0]!.text)).toEqual({ description: 'a } and " {', keep: false });
  expect(parts[2]!.text).toBe('op_1');
});

it('leaves a sentence a sentence', () => {
  expect(pieces('storage elsewhere holds bk_1; delete them first')).toEqual([{ name: 'said', text: 'storage elsewhere holds bk_1; delete them first' }]);
  expect(pieces('')).toEqual([]);
  expect(pieces('asked {"broken')).toEqual([{ name: 'said', text: 'asked {"broken' }]);
});

it('asks for the days of the reader, the last one whole', () => {
  const { since, until } = span({ from: '2026-11-20', until: '2026-11-20' });
  expect(Date.parse(until!) - Date.parse(since!)).toBe(86_400_000);
  expect(span({})).toEqual({});
});
