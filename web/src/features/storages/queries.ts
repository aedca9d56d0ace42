import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { AddStorage, Backup, Operation, PatchStorage, Plan, StorageCheck } from '~/api/schema';
import { began } from '~/features/operations';

const NOUN = 'storages';

export const storagesQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, NOUN),
    queryFn: () => ask(api.GET('/api/v1/storages', { params: { query: { project, limit: '100' } } })),
    refetchInterval: pace(15_000),
    meta: { belongs: () => true },
  });

const MOST_PAGES = 8;

/** The backups of a project, to count what lies where: up to 4000, for the rest would keep the page waiting. */
export const storedQuery = (project: string) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, 'all', 'stored'),
    queryFn: async () => {
      const backups: Backup[] = [];
      let cursor: string | null | undefined;
      for (let page = 0; page < MOST_PAGES; page += 1) {
        const part = await ask(api.GET('/api/v1/backups', { params: { query: { project, limit: '500', ...(cursor ? { cursor } : {}) } } }));
        backups.push(...part.items);
        cursor = part.next;
        if (!cursor) break;
      }
      return { backups, whole: !cursor };
    },
    staleTime: 30_000,
    gcTime: 60_000,
  });

export function useAddStorage(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, body }: { key: string; body: AddStorage }) => ask(api.POST('/api/v1/storages', { params: { query: { project }, header: { 'Idempotency-Key': key } }, body })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.lists(project, NOUN) }),
    gcTime: 0,
  });
}

/** The answer tells the space too; it is kept beside the list, which does not. */
export const checkKey = (project: string, name: string) => keys.part(project, NOUN, name, 'check');

export const lastCheckQuery = (project: string, name: string) =>
  queryOptions({ queryKey: checkKey(project, name), queryFn: (): Promise<StorageCheck | null> => Promise.resolve(null), staleTime: Number.POSITIVE_INFINITY, gcTime: 600_000 });

export function useCheckStorage(project: string, name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => ask(api.POST('/api/v1/storages/{id}/check', { params: { path: { id: name }, query: { project } } })),
    onSuccess: (check) => {
      client.setQueryData(checkKey(project, name), check);
      return client.invalidateQueries({ queryKey: keys.lists(project, NOUN) });
    },
  });
}

export function useRemoveStorage(project: string, name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async () => {
      const params = { path: { id: name }, query: { project } };
      const { tag } = await askTagged(api.GET('/api/v1/storages/{id}', { params }));
      await ask(api.DELETE('/api/v1/storages/{id}', { params: { ...params, header: { 'If-Match': tag } } }));
    },
    onSuccess: () => client.invalidateQueries({ queryKey: keys.lists(project, NOUN) }),
  });
}

/** Limits and what logs in. What was sent may be a secret: nothing of it is kept. */
export function useSetStorage(project: string, name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (body: PatchStorage) => {
      const params = { path: { id: name }, query: { project } };
      const { tag } = await askTagged(api.GET('/api/v1/storages/{id}', { params }));
      return ask(api.PATCH('/api/v1/storages/{id}', { params, headers: { 'If-Match': tag }, body }));
    },
    onSuccess: () => client.invalidateQueries({ queryKey: keys.lists(project, NOUN) }),
    gcTime: 0,
  });
}

export const rekeyPlanQuery = (project: string, name: string) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, name, 'rekey'),
    queryFn: async () => {
      const { tag } = await askTagged(api.GET('/api/v1/storages/{id}', { params: { path: { id: name }, query: { project } } }));
      return { plan: (await ask(api.POST('/api/v1/storages/{id}/rekey', { params: { path: { id: name }, query: { project, dry_run: 'true' } } }))) as Plan, tag };
    },
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });

export function useRekeyStorage(project: string, name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, tag }: { key: string; tag?: string }) =>
      ask(api.POST('/api/v1/storages/{id}/rekey', { params: { path: { id: name }, query: { project }, header: { 'Idempotency-Key': key, 'If-Match': tag } } })),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      return client.invalidateQueries({ queryKey: keys.lists(project, NOUN) });
    },
  });
}
