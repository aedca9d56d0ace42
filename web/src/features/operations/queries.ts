import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { connection } from '~/api/connection';
import { keys } from '~/api/keys';
import type { Operation } from '~/api/schema';
import { active } from '~/shared/ui/OperationBar';

const NOUN = 'operations';

/** What runs is looked at more often where the server sends no events. */
function pace(items: readonly Operation[] | undefined): number | false {
  if (connection().link === 'live') return false;
  return items?.some(active) ? 1000 : 4000;
}

/** The newest of a project: what runs, and what ended lately. */
export const recentOperationsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, NOUN, { recent: true }),
    queryFn: () => ask(api.GET('/api/v1/operations', { params: { query: { project, limit: '50' } } })),
    refetchInterval: (query) => pace(query.state.data?.items),
    meta: { belongs: () => true, most: 100 },
  });

/** All of a project, the newest first, by pages. */
export const allOperationsQuery = (project: string) =>
  infiniteQueryOptions({
    queryKey: keys.list(project, NOUN, { all: true }),
    queryFn: ({ pageParam }) => ask(api.GET('/api/v1/operations', { params: { query: { project, limit: '100', ...(pageParam ? { cursor: pageParam } : {}) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: (query) => pace(query.state.data?.pages.flatMap((p) => p.items)),
    meta: { belongs: () => true },
  });

/** What has not ended, however long ago it began. */
export const activeOperationsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, NOUN, { active: true }),
    queryFn: () => ask(api.GET('/api/v1/operations', { params: { query: { project, active: 'true', limit: '200' } } })),
    refetchInterval: (query) => pace(query.state.data?.items),
    meta: { belongs: active },
  });

export const clusterOperationsQuery = (project: string, cluster: string) =>
  queryOptions({
    queryKey: keys.list(project, NOUN, { cluster }),
    queryFn: () => ask(api.GET('/api/v1/operations', { params: { query: { project, cluster, limit: '10' } } })),
    refetchInterval: (query) => pace(query.state.data?.items),
    meta: { belongs: (o: Operation) => o.cluster === cluster, most: 20 },
  });

export const operationQuery = (project: string, id: string) =>
  queryOptions({
    queryKey: keys.one(project, NOUN, id),
    queryFn: () => ask(api.GET('/api/v1/operations/{id}', { params: { path: { id }, query: { project } } })),
    refetchInterval: (query) => pace(query.state.data ? [query.state.data] : undefined),
  });

export type Choice = 'cancel' | 'retry' | 'skip' | 'abandon';

export function useChoose(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, choice }: { id: string; choice: Choice }) =>
      ask(api.POST(`/api/v1/operations/{id}/${choice}`, { params: { path: { id }, query: { project } } })),
    onSuccess: (operation) => began(client, project, operation),
  });
}

/** Work that was begun in this browser: its end is told, wherever its reader is by then. */
const mine = new Set<string>();

export const isMine = (id: string) => mine.has(id);

type Client = ReturnType<typeof useQueryClient>;

/** A 202: the operation goes into the cache; the objects change by events alone. */
export function began(client: Client, project: string, operation: Operation) {
  mine.add(operation.id);
  client.setQueryData(keys.one(project, NOUN, operation.id), operation);
  for (const [key, data] of client.getQueriesData<{ items: Operation[]; next?: string | null }>({ queryKey: keys.lists(project, NOUN) })) {
    const filters = key[3] as { cluster?: string } | undefined;
    if (!data?.items || (filters?.cluster && filters.cluster !== operation.cluster)) continue;
    client.setQueryData(key, { ...data, items: [operation, ...data.items.filter((o) => o.id !== operation.id)] });
  }
}
