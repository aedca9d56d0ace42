import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import type { SetSchedule } from '~/api/schema';

const NOUN = 'schedules';

/** Its next runs as the server would count them; nothing is saved. */
export const previewQuery = (project: string, cluster: string, body: SetSchedule, enabled: boolean) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, cluster, 'preview', { ...body }),
    queryFn: () =>
      ask(api.POST('/api/v1/clusters/{id}/schedules/preview', { params: { path: { id: cluster }, query: { project, count: '5' } }, body })),
    enabled,
    retry: false,
    gcTime: 10_000,
    placeholderData: (before) => before,
  });

function useChanged(project: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: keys.all(project, NOUN) });
}

export function useSetSchedule(project: string, cluster: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: ({ key, body }: { key: string; body: SetSchedule }) =>
      ask(api.POST('/api/v1/clusters/{id}/schedules', { params: { path: { id: cluster }, query: { project }, header: { 'Idempotency-Key': key } }, body })),
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
