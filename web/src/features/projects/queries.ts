import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { keys } from '~/api/keys';

export const projectQuery = (project: string) =>
  queryOptions({
    queryKey: keys.one(project, 'projects', project),
    queryFn: () => ask(api.GET('/api/v1/projects/{id}', { params: { path: { id: project }, query: {} } })),
  });

/** Who made it is its owner: what they may is asked for again. */
export function useCreateProject() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, name }: { key: string; name: string }) => ask(api.POST('/api/v1/projects', { params: { query: {}, header: { 'Idempotency-Key': key } }, body: { name } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ['me'] }),
  });
}
