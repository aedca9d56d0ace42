import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { keys } from '~/api/keys';
import { pace } from '~/api/pace';
import type { Invite, Role } from '~/api/schema';

const NOUN = 'members';

export const membersQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, NOUN),
    queryFn: () => ask(api.GET('/api/v1/projects/{id}/members', { params: { path: { id: project }, query: { limit: '200' } } })),
    refetchInterval: pace(15_000),
    retry: false,
  });

export const invitationsQuery = (project: string) =>
  queryOptions({
    queryKey: keys.list(project, NOUN, { invited: true }),
    queryFn: () => ask(api.GET('/api/v1/projects/{id}/invitations', { params: { path: { id: project }, query: { limit: '200' } } })),
    refetchInterval: pace(15_000),
    retry: false,
  });

function useChanged(project: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: keys.all(project, NOUN) });
}

/** The answer holds the link: it is not kept when the dialog closes. */
export function useInvite(project: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    gcTime: 0,
    mutationFn: ({ key, body }: { key: string; body: Invite }) =>
      ask(api.POST('/api/v1/projects/{id}/invitations', { params: { path: { id: project }, query: {}, header: { 'Idempotency-Key': key } }, body })),
    onSuccess,
  });
}

export function useWithdraw(project: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: (invitation: string) => ask(api.DELETE('/api/v1/projects/{id}/invitations/{invitation}', { params: { path: { id: project, invitation }, query: {} } })),
    onSuccess,
  });
}

export function useSetRole(project: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: ({ user, role }: { user: string; role: Role }) =>
      ask(api.PATCH('/api/v1/projects/{id}/members/{user}', { params: { path: { id: project, user }, query: {} }, body: { role } })),
    onSuccess,
  });
}

export function useRemoveMember(project: string) {
  const onSuccess = useChanged(project);
  return useMutation({
    mutationFn: (user: string) => ask(api.DELETE('/api/v1/projects/{id}/members/{user}', { params: { path: { id: project, user }, query: {} } })),
    onSuccess,
  });
}

/** A link that sets a new password; it is not kept when the dialog closes. */
export function usePasswordLink() {
  return useMutation({
    gcTime: 0,
    mutationFn: ({ key, user }: { key: string; user: string }) => ask(api.POST('/api/v1/users/{id}/password-link', { params: { path: { id: user }, query: {}, header: { 'Idempotency-Key': key } } })),
  });
}
