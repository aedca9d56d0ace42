import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { Schedule, SetSchedule } from '~/api/schema';
import { schedulesQuery } from '~/features/clusters';
import type { Of } from './model';

const NOUN = 'schedules';

/** Those of a cluster, or of a group. */
export const schedulesOf = (project: string, of: Of) => (of.kind === 'clusters' ? schedulesQuery(project, of.id) : groupSchedulesQuery(project, of));

const groupSchedulesQuery = (project: string, { id, name }: Of) =>
  queryOptions({
    queryKey: keys.list(project, NOUN, { group: name }),
    queryFn: () => ask(api.GET('/api/v1/groups/{id}/schedules', { params: { path: { id }, query: { project, limit: '100' } } })),
    refetchInterval: pace(30_000),
    meta: { belongs: (s: Schedule) => s.group === name },
  });

/** Its next runs as the server would count them; nothing is saved. */
export const previewQuery = (project: string, of: Of, body: SetSchedule, enabled: boolean) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, of.id, 'preview', { ...body }),
    queryFn: () =>
      ask(api.POST(`/api/v1/${of.kind}/{id}/schedules/preview`, { params: { path: { id: of.id }, query: { project, count: '5' } }, body })),
    enabled,
    retry: false,
    gcTime: 10_000,
    placeholderData: (before) => before,
  });

function useChanged(project: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: keys.all(project, NOUN) });
}

export function useSetSchedule(project: string, of: Of) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: ({ key, body }: { key: string; body: SetSchedule }) =>
      ask(api.POST(`/api/v1/${of.kind}/{id}/schedules`, { params: { path: { id: of.id }, query: { project }, header: { 'Idempotency-Key': key } }, body })),
    onSuccess,
  });
}

async function tagOf(project: string, id: string): Promise<string | undefined> {
  return (await askTagged(api.GET('/api/v1/schedules/{id}', { params: { path: { id }, query: { project } } }))).tag;
}

export function usePause(project: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: async ({ id, verb }: { id: string; verb: 'pause' | 'resume' }) =>
      ask(api.POST(`/api/v1/schedules/{id}/${verb}`, { params: { path: { id }, query: { project }, header: { 'If-Match': await tagOf(project, id) } } })),
    onSuccess,
  });
}

export function useRemoveSchedule(project: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: async (id: string) =>
      ask(api.DELETE('/api/v1/schedules/{id}', { params: { path: { id }, query: { project }, header: { 'If-Match': await tagOf(project, id) } } })),
    onSuccess,
  });
}
