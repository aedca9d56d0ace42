import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { Backup, Operation, Plan } from '~/api/schema';
import { began } from '~/features/operations';

const NOUN = 'backups';

/** All there are of a cluster, the newest first: up to 500 at once, older ones by page. */
export const backupsOfQuery = (project: string, cluster: string) =>
  infiniteQueryOptions({
    queryKey: keys.list(project, NOUN, { cluster }),
    queryFn: ({ pageParam }) =>
      ask(api.GET('/api/v1/clusters/{id}/backups', { params: { path: { id: cluster }, query: { project, limit: '200', ...(pageParam ? { cursor: pageParam } : {}) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: pace(),
    meta: { belongs: (b: Backup) => b.cluster === cluster },
  });

interface Filters {
  status?: string;
  kind?: string;
  cluster?: string;
}

/** Those of a whole project. */
export const allBackupsQuery = (project: string, filters: Filters = {}) =>
  infiniteQueryOptions({
    queryKey: keys.list(project, NOUN, { all: true, ...filters }),
    queryFn: ({ pageParam }) =>
      ask(api.GET('/api/v1/backups', { params: { query: { project, limit: '100', ...filters, ...(pageParam ? { cursor: pageParam } : {}) } } })),
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: pace(),
    meta: {
      belongs: (b: Backup) => (!filters.status || b.status === filters.status) && (!filters.kind || b.kind === filters.kind) && (!filters.cluster || b.cluster === filters.cluster),
    },
  });

export const backupQuery = (project: string, id: string) =>
  queryOptions({
    queryKey: keys.one(project, NOUN, id),
    queryFn: () => ask(api.GET('/api/v1/backups/{id}', { params: { path: { id }, query: { project } } })),
    refetchInterval: pace(),
  });

export interface ByHandCommands {
  storage?: string;
  commands: string[];
  error?: string | null;
}

/** Servers say them for each copy; older ones for the first alone. */
export const commandsQuery = (project: string, id: string) =>
  queryOptions({
    queryKey: keys.part(project, NOUN, id, 'commands'),
    queryFn: async (): Promise<ByHandCommands[]> => {
      const said = await ask(api.GET('/api/v1/backups/{id}/commands', { params: { path: { id }, query: { project } } }));
      const { copies } = said;
      return copies && copies.length > 0 ? copies : [{ commands: said.commands }];
    },
    retry: false,
  });

export type BackupVerb = 'verify' | 'drill' | 'delete' | 'copy';

interface Act {
  project: string;
  id: string;
  verb: BackupVerb;
  storage?: string;
}

function send({ project, id, verb, storage = '' }: Act, dry: boolean, key?: string, tag?: string): Promise<Plan | Operation> {
  const query = dry ? { project, dry_run: 'true' } : { project };
  const path = { id };
  const header = { ...(tag ? { 'If-Match': tag } : {}), ...(key ? { 'Idempotency-Key': key } : {}) };
  if (verb === 'delete') return ask(api.DELETE('/api/v1/backups/{id}', { params: { path, query, header }, body: dry ? {} : { confirm: id } }));
  if (verb === 'copy') return ask(api.POST('/api/v1/backups/{id}/copies', { params: { path, query, header }, body: { storage } }));
  return ask(api.POST(`/api/v1/backups/{id}/${verb}`, { params: { path, query, header } }));
}

export const backupPlanQuery = (act: Act) =>
  queryOptions({
    queryKey: keys.part(act.project, NOUN, act.id, 'plan', { ...act }),
    queryFn: async () => {
      const { tag } = await askTagged(api.GET('/api/v1/backups/{id}', { params: { path: { id: act.id }, query: { project: act.project } } }));
      return { plan: (await send(act, true)) as Plan, tag };
    },
    gcTime: 0,
    staleTime: 0,
    retry: false,
    enabled: act.verb !== 'copy' || Boolean(act.storage),
  });

export function useBackupAct(act: Act) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, tag }: { key: string; tag?: string }) => send(act, false, key, tag),
    onSuccess: (operation) => {
      began(client, act.project, operation as Operation);
      return client.invalidateQueries({ queryKey: keys.all(act.project, NOUN) });
    },
  });
}

/** What is done at once, without an operation. */
export function useMark(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, mark }: { id: string; mark: 'pin' | 'unpin' | 'undelete' }) =>
      ask(api.POST(`/api/v1/backups/{id}/${mark}`, { params: { path: { id }, query: { project } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all(project, NOUN) }),
  });
}

/** The browser fetches it by itself: a file of many GB does not go through the page. */
export const downloadAddress = (project: string, id: string): string => `/api/v1/backups/${encodeURIComponent(id)}/download?project=${encodeURIComponent(project)}`;
