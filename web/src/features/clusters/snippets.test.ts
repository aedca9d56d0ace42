import { expect, it } from 'vitest';
import { guessed, HIDDEN, snippets } from './snippets';

const login = { user: 'orders_db', password: 'a/b@c', host: '127.64.0.4', port: 5432, database: 'orders_db' };
const of = (engine: string, kind: string, more = {}) => snippets(engine, { ...login, ...more }).find((s) => s.kind === kind)?.text;

it('escapes what a password may hold, and brackets IPv6', () => {
  expect(of('postgres', 'url')).toBe('postgresql://orders_db:a%2Fb%40c@127.64.0.4:5432/orders_db');
  expect(of('valkey', 'shell', { user: 'default', host: '::1', port: 6379 })).toBe("redis-cli -u 'redis://default:a%2Fb%40c@[::1]:6379'");
});

it('shows dots until somebody looks', () => {
  expect(guessed('postgres', 'orders-db', 'h', 1)).toMatchObject({ user: 'orders_db', password: HIDDEN, database: 'orders_db' });
  expect(guessed('redis', 'orders-db', 'h', 1).user).toBe('default');
});
