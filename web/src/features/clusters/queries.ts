import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { connection } from '~/api/connection';
import { keys } from '~/api/keys';
import type { Backup, Cluster, CreateBackup, CreateCluster, DeleteCluster, Operation, PatchCluster, Plan, Schedule } from '~/api/schema';
import { began } from '~/features/operations';

const NOUN = 'clusters';
const pace = () => (connection().link === 'live' ? (false as const) : 3000);

export const clustersQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, NOUN),
    queryFn: () => ask(api.GET('/api/v1/clusters', { params: { query: { project, limit: '500' } } })),
    refetchInterval: pace,
    meta: { belongs: (c: Cluster) => c.status !== 'deleted' },
  });

export const clusterQuery = (project: string, name: string) =>
  queryOptions({
    queryKey: keys.one(project, NOUN, name),
    queryFn: () => ask(api.GET('/api/v1/clusters/{id}', { params: { path: { id: name }, query: { project } } })),
    refetchInterval: pace,
  });

export const enginesQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, 'engines'),
    queryFn: () => ask(api.GET('/api/v1/engines', { params: { query: { project, limit: '100' } } })),
    staleTime: 60_000,
  });

export const plansQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, 'plans'),
    queryFn: () => ask(api.GET('/api/v1/plans', { params: { query: { project, limit: '100' } } })),
    staleTime: 60_000,
  });

export function useCreateCluster(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, body }: { key: string; body: CreateCluster }) =>
      ask(api.POST('/api/v1/clusters', { params: { query: { project }, header: { 'Idempotency-Key': key } }, body })),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      return client.invalidateQueries({ queryKey: keys.lists(project, NOUN) });
    },
  });
}

export function usePatchCluster(project: string, name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: PatchCluster) => ask(api.PATCH('/api/v1/clusters/{id}', { params: { path: { id: name }, query: { project } }, body })),
    onSuccess: (cluster) => client.setQueryData(clusterQuery(project, name).queryKey, cluster),
  });
}

/** What the server would do, with the tag of what it rests on: both go into the dialog, and the tag back with the act. */
export interface Planned {
  plan: Plan;
  tag?: string;
}

export type Verb = 'start' | 'stop' | 'restart' | 'rotate';

async function tagOf(project: string, name: string): Promise<string | undefined> {
  return (await askTagged(api.GET('/api/v1/clusters/{id}', { params: { path: { id: name }, query: { project } } }))).tag;
}

export const verbPlanQuery = (project: string, name: string, verb: Verb) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, name, 'plan', { verb }),
    queryFn: async (): Promise<Planned> => {
      const tag = await tagOf(project, name);
      const params = { path: { id: name }, query: { project, dry_run: 'true' } };
      return { plan: (await ask(api.POST(`/api/v1/clusters/{id}/${verb}`, { params }))) as Plan, tag };
    },
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });

export function useVerb(project: string, name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ verb, key, tag }: { verb: Verb; key: string; tag?: string }) =>
      ask(
        api.POST(`/api/v1/clusters/{id}/${verb}`, {
          params: { path: { id: name }, query: { project }, header: { 'Idempotency-Key': key, 'If-Match': tag } },
        }),
      ),
    onSuccess: (operation) => began(client, project, operation as Operation),
  });
}

export const deletePlanQuery = (project: string, name: string, options: DeleteCluster) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, name, 'delete', { ...options }),
    queryFn: async (): Promise<Planned> => {
      const tag = await tagOf(project, name);
      const answer = api.DELETE('/api/v1/clusters/{id}', { params: { path: { id: name }, query: { project, dry_run: 'true' } }, body: options });
      return { plan: (await ask(answer)) as Plan, tag };
    },
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });

export function useDeleteCluster(project: string, name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ tag, ...body }: DeleteCluster & { tag?: string }) =>
      ask(api.DELETE('/api/v1/clusters/{id}', { params: { path: { id: name }, query: { project }, header: { 'If-Match': tag } }, body })),
    onSuccess: (operation) => began(client, project, operation as Operation),
  });
}

/** Never kept: a secret lives only where it is shown. */
export function loadCredentials(project: string, name: string) {
  return ask(api.GET('/api/v1/clusters/{id}/credentials', { params: { path: { id: name }, query: { project } } }));
}

export function useBackUp(project: string, name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, body }: { key: string; body: CreateBackup }) =>
      ask(
        api.POST('/api/v1/clusters/{id}/backups', {
          params: { path: { id: name }, query: { project }, header: { 'Idempotency-Key': key } },
          body,
        }),
      ),
    onSuccess: (operation) => began(client, project, operation as Operation),
  });
}

export const storageNamesQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, 'storages'),
    queryFn: () => ask(api.GET('/api/v1/storages', { params: { query: { project, limit: '100' } } })),
    select: (page) => page.items.map((s) => s.name),
  });

/** Those that keep snapshots of the disk: what lies in them alone is no copy that stays. */
export const snapshotStoragesQuery = (project: string) => queryOptions({ ...storageNamesQuery(project), select: (page) => page.items.filter((s) => s.kind === 'snapshot').map((s) => s.name) });

/** What runs next by itself. */
export const schedulesQuery = (project: string, cluster: string) =>
  queryOptions({
    queryKey: keys.list(project, 'schedules', { cluster }),
    queryFn: () => ask(api.GET('/api/v1/clusters/{id}/schedules', { params: { path: { id: cluster }, query: { project, limit: '100' } } })),
    meta: { belongs: (s: Schedule) => s.cluster === cluster },
  });

export const clusterBackupsQuery = (project: string, cluster: string) =>
  queryOptions({
    queryKey: keys.list(project, 'backups', { cluster, newest: true }),
    queryFn: () => ask(api.GET('/api/v1/clusters/{id}/backups', { params: { path: { id: cluster }, query: { project, limit: '100' } } })),
    refetchInterval: () => (connection().link === 'live' ? false : 10_000),
    meta: { belongs: (b: Backup) => b.cluster === cluster, most: 200 },
  });

/** What making it would come to; the name may still be refused. */
export const createPlanQuery = (project: string, body: CreateCluster) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, 'new', 'plan', { ...body }),
    queryFn: async () => (await ask(api.POST('/api/v1/clusters', { params: { query: { project, dry_run: 'true' } }, body }))) as Plan,
    retry: false,
    gcTime: 0,
  });
