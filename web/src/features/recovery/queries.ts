import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { Operation } from '~/api/schema';
import { began, operationQuery } from '~/features/operations';

export const recoveryKeysQuery = (project: string) =>
  queryOptions({
    queryKey: keys.part(project, 'projects', project, 'recovery-keys'),
    queryFn: () => ask(api.GET('/api/v1/projects/{id}/recovery-keys', { params: { path: { id: project }, query: {} } })),
    refetchInterval: pace(10_000),
    retry: false,
  });

function useChanged(project: string) {
  const client = useQueryClient();
  return async (operation?: string) => {
    await client.invalidateQueries({ queryKey: keys.all(project, 'projects') });
    if (operation) began(client, project, await client.fetchQuery(operationQuery(project, operation)));
  };
}

/** None of these answers is kept: a key lives only where it is shown. */
export function useExportKey(project: string) {
  const changed = useChanged(project);
  return useMutation({
    gcTime: 0,
    mutationFn: () => ask(api.POST('/api/v1/projects/{id}/recovery-key', { params: { path: { id: project }, query: {} } })),
    onSuccess: () => changed(),
  });
}

export function useExportKit(project: string) {
  const changed = useChanged(project);
  return useMutation({
    gcTime: 0,
    mutationFn: () => ask(api.POST('/api/v1/projects/{id}/recovery-kit', { params: { path: { id: project }, query: {} } })),
    onSuccess: () => changed(),
  });
}

export function useRotateKey(project: string) {
  const changed = useChanged(project);
  return useMutation({
    gcTime: 0,
    mutationFn: (key: string) => ask(api.POST('/api/v1/projects/{id}/recovery-keys/rotate', { params: { path: { id: project }, query: {}, header: { 'Idempotency-Key': key } } })),
    onSuccess: (made) => changed(made.operation),
  });
}

export function useAddKey(project: string) {
  const changed = useChanged(project);
  return useMutation({
    gcTime: 0,
    mutationFn: ({ key, name }: { key: string; name: string }) =>
      ask(api.POST('/api/v1/projects/{id}/recovery-keys', { params: { path: { id: project }, query: {}, header: { 'Idempotency-Key': key } }, body: { name } })),
    onSuccess: (made) => changed(made.operation),
  });
}

export function useRemoveKey(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (name: string) => ask(api.DELETE('/api/v1/projects/{id}/recovery-keys/{name}', { params: { path: { id: project, name }, query: {} } })),
    onSuccess: (operation) => {
      began(client, project, operation as Operation);
      return client.invalidateQueries({ queryKey: keys.all(project, 'projects') });
    },
  });
}

export function useTryKey(project: string) {
  return useMutation({
    gcTime: 0,
    mutationFn: ({ key, storage }: { key: string; storage: string }) => ask(api.POST('/api/v1/recoveries/look', { params: { query: { project } }, body: { key, storage } })),
  });
}

/** Mainstay's own backups, which only who runs the installation sees. */
export const ownBackupsQuery = queryOptions({
  queryKey: ['system', 'backups'],
  queryFn: () => ask(api.GET('/api/v1/system/backups', { params: { query: {} } })),
  refetchInterval: pace(30_000),
  retry: false,
});

export function useBackUpOwn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => ask(api.POST('/api/v1/system/backups', { params: { query: {} } })),
    onSuccess: (now) => client.setQueryData(ownBackupsQuery.queryKey, now),
  });
}
