import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { Operation, Plan, Restore, RestorePlan, RestoreRequest } from '~/api/schema';
import { began } from '~/features/operations';

const NOUN = 'restores';

export const restoresQuery = (project: string, cluster: string) =>
  infiniteQueryOptions({
    queryKey: keys.list(project, NOUN, { cluster }),
    queryFn: ({ pageParam }) => ask(api.GET('/api/v1/restores', { params: { query: { project, cluster, limit: '100', ...(pageParam ? { cursor: pageParam } : {}) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: pace(),
    meta: { belongs: (r: Restore) => r.target_cluster === cluster },
  });

/** To which moments it can be restored. The window grows while it is looked at. */
export const momentsQuery = (project: string, cluster: string, every: number | false = 5000) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', cluster, 'point-in-time'),
    queryFn: async () => {
      const { data, tag } = await askTagged(api.GET('/api/v1/clusters/{id}/point-in-time', { params: { path: { id: cluster }, query: { project } } }));
      return { ...data, tag };
    },
    refetchInterval: every,
    staleTime: 0,
  });

/** What would happen; its hash goes back with the order, so that what was read is what runs. */
export const restorePlanQuery = (project: string, body: RestoreRequest | undefined) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, 'new', 'plan', { ...body }),
    queryFn: (): Promise<RestorePlan> => ask(api.POST('/api/v1/restores/plan', { params: { query: { project } }, body: body as RestoreRequest })),
    enabled: body !== undefined,
    retry: false,
    gcTime: 0,
    staleTime: 0,
  });

export function useRestore(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, hash, body }: { key: string; hash: string; body: RestoreRequest }) =>
      ask(api.POST('/api/v1/restores', { params: { query: { project }, header: { 'Idempotency-Key': key, 'If-Match': hash } }, body })),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      void client.invalidateQueries({ queryKey: keys.all(project, NOUN) });
      return client.invalidateQueries({ queryKey: keys.lists(project, 'clusters') });
    },
  });
}

export const undoPlanQuery = (project: string, id: string) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, id, 'undo'),
    queryFn: async () => {
      const { tag } = await askTagged(api.GET('/api/v1/restores/{id}', { params: { path: { id }, query: { project } } }));
      return { plan: (await ask(api.POST('/api/v1/restores/{id}/undo', { params: { path: { id }, query: { project, dry_run: 'true' } }, body: {} }))) as Plan, tag };
    },
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });

export function useUndo(project: string, restore: Restore) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, tag }: { key: string; tag?: string }) =>
      ask(
        api.POST('/api/v1/restores/{id}/undo', {
          params: { path: { id: restore.id }, query: { project }, header: { 'Idempotency-Key': key, 'If-Match': tag } },
          body: { confirm: restore.target_cluster },
        }),
      ),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      return client.invalidateQueries({ queryKey: keys.all(project, NOUN) });
    },
  });
}
