import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import type { Operation, Plan } from '~/api/schema';
import { began } from '~/features/operations';

type Draft = Readonly<Record<string, string | null>>;

export const settingsQuery = (project: string, cluster: string) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', cluster, 'settings'),
    queryFn: async () => {
      const { data, tag } = await askTagged(api.GET('/api/v1/clusters/{id}/settings', { params: { path: { id: cluster }, query: { project } } }));
      return { ...data, tag };
    },
    staleTime: 0,
  });

export const settingsPlanQuery = (project: string, cluster: string, settings: Draft) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', cluster, 'settings-plan', { settings }),
    queryFn: async () => {
      const params = { path: { id: cluster }, query: { project, dry_run: 'true' } };
      return (await ask(api.PATCH('/api/v1/clusters/{id}/settings', { params, body: { settings } }))) as Plan;
    },
    retry: false,
    gcTime: 0,
  });

export function usePatchSettings(project: string, cluster: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ settings, tag }: { settings: Draft; tag?: string }) =>
      ask(
        api.PATCH('/api/v1/clusters/{id}/settings', {
          params: { path: { id: cluster }, query: { project }, header: { 'If-Match': tag } },
          body: { settings },
        }),
      ),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      return client.invalidateQueries({ queryKey: keys.part(project, 'clusters', cluster, 'settings') });
    },
  });
}
