import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import type { AllowEntry, Operation, Plan } from '~/api/schema';
import { began } from '~/features/operations';

export const allowListQuery = (project: string, cluster: string) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', cluster, 'allow-list'),
    queryFn: async () => {
      const { data, tag } = await askTagged(api.GET('/api/v1/clusters/{id}/allow-list', { params: { path: { id: cluster }, query: { project } } }));
      return { ...data, tag };
    },
    staleTime: 0,
  });

export const allowPlanQuery = (project: string, cluster: string, list: readonly AllowEntry[]) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', cluster, 'allow-plan', { list }),
    queryFn: async () => {
      const params = { path: { id: cluster }, query: { project, dry_run: 'true' } };
      return (await ask(api.PUT('/api/v1/clusters/{id}/allow-list', { params, body: { allow_list: [...list] } }))) as Plan;
    },
    retry: false,
    gcTime: 0,
  });

export function useSetAllowList(project: string, cluster: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ list, tag }: { list: readonly AllowEntry[]; tag?: string }) =>
      ask(
        api.PUT('/api/v1/clusters/{id}/allow-list', {
          params: { path: { id: cluster }, query: { project }, header: { 'If-Match': tag } },
          body: { allow_list: [...list] },
        }),
      ),
    onSuccess: (operation) => began(client, project, operation as Operation),
  });
}
