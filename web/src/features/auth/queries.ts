import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, ask } from '~/api/client';
import { setConnection } from '~/api/connection';
import { tellSession } from '~/api/session';
import { setDrift } from '~/shared/lib/now';

/** Who asks, and the role in each project. Not a project's: it outlives a change of project. */
export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: async () => {
    const sent = Date.now();
    const me = await ask(api.GET('/api/v1/me'));
    setConnection({ signedOut: false });
    // Half of the way there and back is the best guess at what the server's clock says now.
    setDrift(Date.parse(me.server_time) - (sent + Date.now()) / 2);
    return me;
  },
  staleTime: 60_000,
});

export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { user: string; password: string }) => ask(api.POST('/api/v1/session', { body })),
    onSuccess: (me) => {
      setConnection({ signedOut: false });
      client.setQueryData(meQuery.queryKey, me);
      tellSession('in');
    },
  });
}

export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => ask(api.DELETE('/api/v1/session')),
    onSuccess: () => {
      client.clear();
      tellSession('out');
    },
  });
}

export function useLinkLook() {
  return useMutation({ mutationFn: (token: string) => ask(api.POST('/api/v1/welcome/look', { body: { token } })) });
}

export function useAcceptLink() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { token: string; name?: string; email?: string; password: string }) => ask(api.POST('/api/v1/welcome', { body })),
    onSuccess: (me) => {
      client.setQueryData(meQuery.queryKey, me);
      tellSession('in');
    },
  });
}
