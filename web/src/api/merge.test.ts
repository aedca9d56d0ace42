import { QueryClient } from '@tanstack/react-query';
import { expect, it } from 'vitest';
import { keys } from './keys';
import { apply, type Change } from './merge';

const put = (seq: number, object: { id: string; status?: string; cluster?: string }, noun = 'backup'): Change => ({
  seq,
  noun,
  id: object.id,
  action: 'put',
  object,
});

it('changes an object wherever it is shown, and only there', () => {
  const client = new QueryClient();
  client.setQueryData(keys.one('p', 'clusters', 'shop'), { id: 'cl_1', status: 'running' });
  client.setQueryData(keys.one('p', 'clusters', 'cache'), { id: 'cl_2', status: 'running' });
  client.setQueryData(keys.list('p', 'clusters'), { items: [{ id: 'cl_2' }, { id: 'cl_1', status: 'running' }], next: null });
  apply(client, 'p', [put(1, { id: 'cl_1', status: 'degraded' }, 'cluster')]);
  expect(client.getQueryData(keys.one('p', 'clusters', 'shop'))).toMatchObject({ status: 'degraded' });
  expect(client.getQueryData(keys.one('p', 'clusters', 'cache'))).toMatchObject({ status: 'running' });
  expect(client.getQueryData(keys.list('p', 'clusters'))).toEqual({ items: [{ id: 'cl_2' }, { id: 'cl_1', status: 'degraded' }], next: null });
});

it('puts a new one first on the first page, once, and takes out what is gone', () => {
  const client = new QueryClient();
  const key = keys.list('p', 'backups', { pages: true });
  client.getQueryCache().build(client, { queryKey: key, meta: { belongs: () => true } });
  client.setQueryData(key, { pages: [{ items: [{ id: 'b2' }] }, { items: [{ id: 'b1' }] }], pageParams: [] });
  apply(client, 'p', [put(1, { id: 'b3' }), put(2, { id: 'b1', status: 'failed' })]);
  apply(client, 'p', [put(3, { id: 'b3', status: 'completed' }), { seq: 4, noun: 'backup', id: 'b2', action: 'remove' }]);
  expect(client.getQueryData(key)).toMatchObject({
    pages: [{ items: [{ id: 'b3', status: 'completed' }] }, { items: [{ id: 'b1', status: 'failed' }] }],
  });
});

it('keeps a filtered list to what belongs into it', () => {
  const client = new QueryClient();
  const key = keys.list('p', 'backups', { cluster: 'shop' });
  client.getQueryCache().build(client, { queryKey: key, meta: { belongs: (b: { cluster: string }) => b.cluster === 'shop' } });
  client.setQueryData(key, { items: [], next: null });
  apply(client, 'p', [put(1, { id: 'b1', cluster: 'shop' }), put(2, { id: 'b2', cluster: 'cache' })]);
  expect(client.getQueryData(key)).toEqual({ items: [{ id: 'b1', cluster: 'shop' }], next: null });
});

it('keeps so many of the newest as a list says', () => {
  const client = new QueryClient();
  const key = keys.list('p', 'operations', { recent: true });
  client.getQueryCache().build(client, { queryKey: key, meta: { belongs: () => true, most: 2 } });
  client.setQueryData(key, { items: [{ id: 'o1' }], next: null });
  apply(client, 'p', [put(1, { id: 'o2' }, 'operation'), put(2, { id: 'o3' }, 'operation')]);
  expect(client.getQueryData(key)).toEqual({ items: [{ id: 'o3' }, { id: 'o2' }], next: null });
});
