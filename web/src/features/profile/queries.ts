import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { pace } from '~/api/pace';
import type { PatchMe } from '~/api/schema';
import { meQuery } from '~/features/auth';

export const sessionsQuery = queryOptions({
  queryKey: ['me', 'sessions'],
  queryFn: () => ask(api.GET('/api/v1/me/sessions', { params: { query: { limit: '100' } } })),
  refetchInterval: pace(30_000),
  retry: false,
});

export function usePatchMe() {
  const client = useQueryClient();
  return useMutation({
    gcTime: 0,
    mutationFn: (body: PatchMe) => ask(api.PATCH('/api/v1/me', { params: { query: {} }, body })),
    onSuccess: () => client.invalidateQueries({ queryKey: meQuery.queryKey, exact: true }),
  });
}

export function useChangePassword() {
  const client = useQueryClient();
  return useMutation({
    gcTime: 0,
    mutationFn: (body: { current: string; new: string }) => ask(api.POST('/api/v1/me/password', { params: { query: {} }, body })),
    onSuccess: () => client.invalidateQueries({ queryKey: sessionsQuery.queryKey }),
  });
}

export function useEndSession() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => ask(api.DELETE('/api/v1/me/sessions/{id}', { params: { path: { id }, query: {} } })),
    onSuccess: () => client.invalidateQueries({ queryKey: sessionsQuery.queryKey }),
  });
}

export function useEndOthers() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => ask(api.DELETE('/api/v1/me/sessions', { params: { query: {} } })),
    onSuccess: () => client.invalidateQueries({ queryKey: sessionsQuery.queryKey }),
  });
}
