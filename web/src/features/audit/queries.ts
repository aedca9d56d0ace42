import { infiniteQueryOptions, useMutation } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';

const NOUN = 'audit';

export interface AuditFilters {
  actor?: string;
  action?: string;
  object?: string;
  result?: string;
  since?: string;
  until?: string;
}

export const auditQuery = (project: string, filters: AuditFilters) =>
  infiniteQueryOptions({
    queryKey: keys.list(project, NOUN, { ...filters }),
    queryFn: ({ pageParam }) => ask(api.GET('/api/v1/audit', { params: { query: { project, limit: '100', ...filters, ...(pageParam ? { cursor: pageParam } : {}) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: pace(10_000),
    retry: false,
  });

/** The browser fetches it by itself, with the filters that are chosen. */
export function exportAddress(project: string, filters: AuditFilters, format: 'csv' | 'json'): string {
  const given = Object.entries(filters).filter((pair): pair is [string, string] => Boolean(pair[1]));
  return `/api/v1/audit/export?${new URLSearchParams([['project', project], ['format', format], ...given]).toString()}`;
}

/** Each entry holds the sum of the one before: a change made outside shows. */
export function useVerifyAudit(project: string) {
  return useMutation({ mutationFn: () => ask(api.POST('/api/v1/audit/verify', { params: { query: { project } } })) });
}
