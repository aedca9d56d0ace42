import { queryOptions, useQuery } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { keys } from '~/api/keys';

export type Range = '15m' | '1h';

/** What the nodes used lately. The newest answer takes the place of the one before: nothing piles up in the page. */
export const curvesQuery = (project: string, cluster: string, range: Range) =>
  queryOptions({
    queryKey: keys.part(project, 'clusters', cluster, 'curves', { range }),
    queryFn: () => ask(api.GET('/api/v1/clusters/{id}/metrics', { params: { path: { id: cluster }, query: { project, range } } })),
    refetchInterval: 5000,
    staleTime: 0,
    gcTime: 60_000,
    placeholderData: (before) => before,
  });

export const useCurves = (project: string, cluster: string, range: Range = '15m') => useQuery(curvesQuery(project, cluster, range));
