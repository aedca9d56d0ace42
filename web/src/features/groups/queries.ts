import { useEffect, useRef } from 'react';
import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api, ask, askTagged } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { CreateBackup, CreateGroup, Group, Operation, Plan, RestoreGroup } from '~/api/schema';
import { began } from '~/features/operations';

const NOUN = 'groups';

export const groupsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, NOUN),
    queryFn: () => ask(api.GET('/api/v1/groups', { params: { query: { project, limit: '100' } } })),
    refetchInterval: pace(),
  });

const groupBackupsQuery = (project: string, group: string) =>
  queryOptions({
    queryKey: keys.list(project, 'group_backups', { group }),
    queryFn: () => ask(api.GET('/api/v1/groups/{id}/backups', { params: { path: { id: group }, query: { project, limit: '100' } } })),
    refetchInterval: pace(),
  });

/** Backups of a group. The stream tells of the group alone: whatever it tells, they are asked for again. */
export function useGroupBackups(project: string, group: Group) {
  const client = useQueryClient();
  const told = useRef(group);
  useEffect(() => {
    if (told.current === group) return;
    told.current = group;
    void client.invalidateQueries({ queryKey: groupBackupsQuery(project, group.id).queryKey });
  }, [client, project, group]);
  return useQuery(groupBackupsQuery(project, group.id));
}

export function useCreateGroup(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, body }: { key: string; body: CreateGroup }) => ask(api.POST('/api/v1/groups', { params: { query: { project }, header: { 'Idempotency-Key': key } }, body })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all(project, NOUN) }),
  });
}

/** Members as they are to be, against the group as it is. */
export function useSetMembers(project: string, id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (members: string[]) => {
      const params = { path: { id }, query: { project } };
      const { tag } = await askTagged(api.GET('/api/v1/groups/{id}', { params }));
      return ask(api.PATCH('/api/v1/groups/{id}', { params: { ...params, header: { 'If-Match': tag } }, body: { members } }));
    },
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all(project, NOUN) }),
  });
}

export function useDeleteGroup(project: string, id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async () => {
      const params = { path: { id }, query: { project } };
      const { tag } = await askTagged(api.GET('/api/v1/groups/{id}', { params }));
      await ask(api.DELETE('/api/v1/groups/{id}', { params: { ...params, header: { 'If-Match': tag } } }));
    },
    onSuccess: () => client.invalidateQueries({ queryKey: keys.all(project, NOUN) }),
  });
}

export function useBackUpGroup(project: string, id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, body }: { key: string; body: CreateBackup }) =>
      ask(api.POST('/api/v1/groups/{id}/backups', { params: { path: { id }, query: { project }, header: { 'Idempotency-Key': key } }, body })),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      void client.invalidateQueries({ queryKey: keys.lists(project, 'group_backups') });
    },
  });
}

export const groupRestorePlanQuery = (project: string, id: string, body: RestoreGroup | undefined) =>
  queryOptions({
    queryKey: keys.part(project, 'group_backups', id, 'restore', { ...body }),
    queryFn: async () =>
      (await ask(api.POST('/api/v1/group-backups/{id}/restore', { params: { path: { id }, query: { project, dry_run: 'true' } }, body: body as RestoreGroup }))) as Plan,
    enabled: body !== undefined,
    gcTime: 0,
    staleTime: 0,
    retry: false,
  });

export function useRestoreGroup(project: string, id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ key, body }: { key: string; body: RestoreGroup }) =>
      ask(api.POST('/api/v1/group-backups/{id}/restore', { params: { path: { id }, query: { project }, header: { 'Idempotency-Key': key } }, body })),
    onSuccess: (operation) => began(client, project, operation as Operation),
  });
}
