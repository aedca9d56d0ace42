import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { Backup, Cluster, Operation, Plan } from '~/api/schema';
import { began } from '~/features/operations';

export const deletedClustersQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, 'clusters', { deleted: true }),
    queryFn: () => ask(api.GET('/api/v1/clusters', { params: { query: { project, deleted: 'true', limit: '500' } } })),
    refetchInterval: pace(),
    meta: { belongs: () => true },
  });

export const goingBackupsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, 'backups', { going: true }),
    queryFn: () => ask(api.GET('/api/v1/backups', { params: { query: { project, status: 'deleting', limit: '200' } } })),
    refetchInterval: pace(),
    meta: { belongs: (b: Backup) => b.status === 'deleting' },
  });

/** Deleted ones are known by id: their name may be another's by now. */
export const bringBackPlanQuery = (project: string, id: string, as: string) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', id, 'undelete', { as }),
    queryFn: async () => (await ask(api.POST('/api/v1/clusters/{id}/undelete', { params: { path: { id }, query: { project, dry_run: 'true' } }, body: as ? { as } : {} }))) as Plan,
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });

export function useBringBack(project: string, id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, as }: { key: string; as: string }) =>
      ask(api.POST('/api/v1/clusters/{id}/undelete', { params: { path: { id }, query: { project }, header: { 'Idempotency-Key': key } }, body: as ? { as } : {} })),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      return client.invalidateQueries({ queryKey: keys.lists(project, 'clusters') });
    },
  });
}

export const purgePlanQuery = (project: string, id: string) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', id, 'purge'),
    queryFn: async () => {
      const { tag } = await askTagged(api.GET('/api/v1/clusters/{id}', { params: { path: { id }, query: { project } } }));
      return { plan: (await ask(api.DELETE('/api/v1/clusters/{id}', { params: { path: { id }, query: { project, dry_run: 'true' } }, body: {} }))) as Plan, tag };
    },
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });

export function usePurge(project: string, cluster: Cluster) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ tag }: { tag?: string }) =>
      ask(api.DELETE('/api/v1/clusters/{id}', { params: { path: { id: cluster.id }, query: { project }, header: { 'If-Match': tag } }, body: { confirm: cluster.name } })),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      return client.invalidateQueries({ queryKey: keys.lists(project, 'clusters') });
    },
  });
}

export function useKeep(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => ask(api.POST('/api/v1/backups/{id}/undelete', { params: { path: { id }, query: { project } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all(project, 'backups') }),
  });
}
