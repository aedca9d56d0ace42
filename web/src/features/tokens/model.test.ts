import { expect, it } from 'vitest';
import { inOrder, tokenLook } from './model';

const now = Date.parse('2026-11-20T12:00:00Z');

it('warns within the last week, and calls nothing good that opens nothing', () => {
  expect(tokenLook({}, now).word).toBe('Valid');
  expect(tokenLook({ expires_at: '2026-11-26T12:00:00Z' }, now).tone).toBe('warn');
  expect(tokenLook({ expires_at: '2026-11-30T12:00:00Z' }, now).tone).toBe('good');
  expect(tokenLook({ expires_at: '2026-11-19T12:00:00Z' }, now).word).toBe('Expired');
  expect(tokenLook({ revoked_at: 'x' }, now).tone).toBe('idle');
});

it('lists those that open something first', () => {
  const all = [
    { id: 'old', created_at: '1', revoked_at: 'x' },
    { id: 'a', created_at: '2' },
    { id: 'b', created_at: '3' },
  ];
  expect(inOrder(all as never, now).map((t) => t.id)).toEqual(['b', 'a', 'old']);
});
