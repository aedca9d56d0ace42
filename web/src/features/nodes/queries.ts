import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import type { Operation, Plan } from '~/api/schema';
import { began } from '~/features/operations';

export type NodeVerb = 'add' | 'promote' | 'reboot' | 'remove';

export interface Planned {
  plan: Plan;
  tag?: string;
}

interface Act {
  project: string;
  cluster: string;
  node?: string;
  verb: NodeVerb;
}

/** The tag of what the plan rests on: the node, or the cluster where there is no node yet. */
async function tagOf({ project, cluster, node }: Act): Promise<string | undefined> {
  const query = { project };
  if (!node) return (await askTagged(api.GET('/api/v1/clusters/{id}', { params: { path: { id: cluster }, query } }))).tag;
  return (await askTagged(api.GET('/api/v1/clusters/{id}/nodes/{node}', { params: { path: { id: cluster, node }, query } }))).tag;
}

function send({ project, cluster, node = '', verb }: Act, dry: boolean, key?: string, tag?: string): Promise<Plan | Operation> {
  const query = dry ? { project, dry_run: 'true' } : { project };
  const header = { 'If-Match': tag, ...(key ? { 'Idempotency-Key': key } : {}) };
  const path = { id: cluster, node };
  const body = dry ? {} : { confirm: node };
  if (verb === 'add') return ask(api.POST('/api/v1/clusters/{id}/nodes', { params: { path: { id: cluster }, query, header } }));
  if (verb === 'remove') return ask(api.DELETE('/api/v1/clusters/{id}/nodes/{node}', { params: { path, query, header: { 'If-Match': tag } }, body }));
  return ask(api.POST(`/api/v1/clusters/{id}/nodes/{node}/${verb}`, { params: { path, query, header }, body }));
}

export const nodePlanQuery = (act: Act) =>
  queryOptions({
    queryKey: keys.part(act.project, 'clusters', act.cluster, 'node-plan', { ...act }),
    queryFn: async (): Promise<Planned> => {
      const tag = await tagOf(act);
      return { plan: (await send(act, true)) as Plan, tag };
    },
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });

export function useNodeAct(act: Act) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, tag }: { key: string; tag?: string }) => send(act, false, key, tag),
    onSuccess: (operation) => began(client, act.project, operation as Operation),
  });
}

export const resyncPlanQuery = (project: string, cluster: string, nodes: readonly string[]) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', cluster, 'resync', { nodes }),
    queryFn: async (): Promise<Planned> => {
      const tag = await tagOf({ project, cluster, verb: 'add' });
      const params = { path: { id: cluster }, query: { project, dry_run: 'true' } };
      return { plan: (await ask(api.POST('/api/v1/clusters/{id}/resync', { params, body: { nodes: [...nodes] } }))) as Plan, tag };
    },
    gcTime: 0,
    staleTime: 0,
    retry: false,
    enabled: nodes.length > 0,
  });

export function useResync(project: string, cluster: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, tag, nodes }: { key: string; tag?: string; nodes: readonly string[] }) =>
      ask(
        api.POST('/api/v1/clusters/{id}/resync', {
          params: { path: { id: cluster }, query: { project }, header: { 'Idempotency-Key': key, 'If-Match': tag } },
          body: { nodes: [...nodes], confirm: cluster },
        }),
      ),
    onSuccess: (operation) => began(client, project, operation as Operation),
  });
}

export const nodeLogsQuery = (project: string, cluster: string, node: string, follow: boolean) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', cluster, 'logs', { node }),
    queryFn: () => ask(api.GET('/api/v1/clusters/{id}/nodes/{node}/logs', { params: { path: { id: cluster, node }, query: { project, lines: '300' } } })),
    refetchInterval: follow ? 2000 : false,
    staleTime: 0,
  });

export const nodeMetricsQuery = (project: string, cluster: string, node: string) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', cluster, 'metrics', { node }),
    queryFn: async () => ({
      at: Date.now(),
      now: await ask(api.GET('/api/v1/clusters/{id}/nodes/{node}/metrics', { params: { path: { id: cluster, node }, query: { project } } })),
    }),
    refetchInterval: 5000,
    staleTime: 0,
  });
