import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { CreateToken } from '~/api/schema';

export const tokensQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, 'tokens'),
    queryFn: () => ask(api.GET('/api/v1/tokens', { params: { query: { project, limit: '200' } } })),
    refetchInterval: pace(30_000),
    retry: false,
  });

/** The answer holds the secret: it is not kept when the dialog closes. */
export function useCreateToken(project: string) {
  const client = useQueryClient();
  return useMutation({
    gcTime: 0,
    mutationFn: ({ key, body }: { key: string; body: CreateToken }) => ask(api.POST('/api/v1/tokens', { params: { query: { project }, header: { 'Idempotency-Key': key } }, body })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all(project, 'tokens') }),
  });
}

export function useRevokeToken(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => ask(api.DELETE('/api/v1/tokens/{id}', { params: { path: { id }, query: { project } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all(project, 'tokens') }),
  });
}
