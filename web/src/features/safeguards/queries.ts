import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import type { Assertion, Operation, Plan, SetBackupPolicy, SetPointInTime } from '~/api/schema';
import { began } from '~/features/operations';

const NOUN = 'clusters';
const of = (project: string, id: string) => ({ path: { id }, query: { project } });
const dry = (project: string, id: string) => ({ path: { id }, query: { project, dry_run: 'true' } });
/** A plan is of now: it is neither kept nor asked for twice. */
const fresh = { retry: false, gcTime: 0, staleTime: 0 } as const;

// ---- points in time ----

export const keepingPlanQuery = (project: string, cluster: string, body: SetPointInTime, ready: boolean) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, cluster, 'point-in-time-plan', { ...body }),
    queryFn: async () => (await ask(api.PUT('/api/v1/clusters/{id}/point-in-time', { params: dry(project, cluster), body }))) as Plan,
    enabled: ready,
    ...fresh,
  });

export function useSetKeeping(project: string, cluster: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ body, tag }: { body: SetPointInTime; tag?: string }) =>
      ask(api.PUT('/api/v1/clusters/{id}/point-in-time', { params: { ...of(project, cluster), header: { 'If-Match': tag } }, body })),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      return client.invalidateQueries({ queryKey: keys.part(project, NOUN, cluster, 'point-in-time') });
    },
  });
}

// ---- the rules for backups ----

export const policyQuery = (project: string, cluster: string) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, cluster, 'backup-policy'),
    queryFn: async () => {
      const { data, tag } = await askTagged(api.GET('/api/v1/clusters/{id}/backup-policy', { params: of(project, cluster) }));
      return { ...data, tag };
    },
    staleTime: 0,
  });

/** The document says what a change answers; asked for with `dry_run` it answers a plan, as everywhere. */
export const policyPlanQuery = (project: string, cluster: string, body: SetBackupPolicy, ready: boolean) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, cluster, 'backup-policy-plan', { ...body }),
    queryFn: async () => (await ask(api.PUT('/api/v1/clusters/{id}/backup-policy', { params: dry(project, cluster), body }))) as unknown as Plan,
    enabled: ready,
    ...fresh,
  });

export function useSetPolicy(project: string, cluster: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ body, tag }: { body: SetBackupPolicy; tag?: string }) =>
      ask(api.PUT('/api/v1/clusters/{id}/backup-policy', { params: { ...of(project, cluster), header: { 'If-Match': tag } }, body })),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: keys.all(project, 'backups') });
      return client.invalidateQueries({ queryKey: keys.part(project, NOUN, cluster, 'backup-policy') });
    },
  });
}

// ---- what drills have to prove ----

export const assertionsQuery = (project: string, cluster: string) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, cluster, 'assertions'),
    queryFn: async () => {
      const { data, tag } = await askTagged(api.GET('/api/v1/clusters/{id}/assertions', { params: of(project, cluster) }));
      return { ...data, tag };
    },
    retry: false,
    staleTime: 0,
  });

/** Asked of the data that is live; nothing is kept of it. */
export function useTryAssertions(project: string, cluster: string) {
  return useMutation({
    mutationFn: (assertions: Assertion[]) => ask(api.POST('/api/v1/clusters/{id}/assertions/try', { params: of(project, cluster), body: { assertions } })),
  });
}

export function useSetAssertions(project: string, cluster: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ assertions, tag }: { assertions: Assertion[]; tag?: string }) =>
      ask(api.PUT('/api/v1/clusters/{id}/assertions', { params: { ...of(project, cluster), header: { 'If-Match': tag } }, body: { assertions } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.part(project, NOUN, cluster, 'assertions') }),
  });
}
