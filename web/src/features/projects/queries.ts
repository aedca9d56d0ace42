import { queryOptions } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { keys } from '~/api/keys';

export const projectQuery = (project: string) =>
  queryOptions({
    queryKey: keys.one(project, 'projects', project),
    queryFn: () => ask(api.GET('/api/v1/projects/{id}', { params: { path: { id: project }, query: {} } })),
  });
