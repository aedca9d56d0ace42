import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { AddNotifier, Alert, PatchNotifier } from '~/api/schema';

export const alertsQuery = (project: string, state?: 'cleared') =>
  queryOptions({
    queryKey: keys.list(project, 'alerts', state ? { state } : {}),
    queryFn: () => ask(api.GET('/api/v1/alerts', { params: { query: { project, limit: '200', ...(state ? { state } : {}) } } })),
    refetchInterval: pace(10_000),
    meta: { belongs: (a: Alert) => (state ? a.state === state : a.state !== 'cleared') },
  });

export function useAcknowledge(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => ask(api.POST('/api/v1/alerts/{id}/acknowledge', { params: { path: { id }, query: { project } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all(project, 'alerts') }),
  });
}

export const notifiersQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, 'notifiers'),
    queryFn: () => ask(api.GET('/api/v1/notifiers', { params: { query: { project, limit: '100' } } })),
    refetchInterval: pace(10_000),
  });

function useChanged(project: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: keys.all(project, 'notifiers') });
}

export function useAddNotifier(project: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: ({ key, body }: { key: string; body: AddNotifier }) => ask(api.POST('/api/v1/notifiers', { params: { query: { project }, header: { 'Idempotency-Key': key } }, body })),
    onSuccess,
  });
}

async function tagOf(project: string, id: string) {
  return (await askTagged(api.GET('/api/v1/notifiers/{id}', { params: { path: { id }, query: { project } } }))).tag;
}

export function usePatchNotifier(project: string, id: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: async (body: PatchNotifier) =>
      ask(api.PATCH('/api/v1/notifiers/{id}', { params: { path: { id }, query: { project }, header: { 'If-Match': await tagOf(project, id) } }, body })),
    onSuccess,
  });
}

export function useTestNotifier(project: string, id: string) {
  const onSettled = useChanged(project);
  return useMutation({ mutationFn: () => ask(api.POST('/api/v1/notifiers/{id}/test', { params: { path: { id }, query: { project } } })), onSettled });
}

export function useRemoveNotifier(project: string, id: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: async () => ask(api.DELETE('/api/v1/notifiers/{id}', { params: { path: { id }, query: { project }, header: { 'If-Match': await tagOf(project, id) } } })),
    onSuccess,
  });
}
