import type { ReactNode } from 'react';
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { connection } from '~/api/connection';
import { ApiProblem } from '~/api/problem';
import { resolver } from './theme/resolver';
import { theme } from './theme/theme';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // A machine without internet still reaches its own server.
      networkMode: 'always',
      staleTime: () => (connection().link === 'live' ? Number.POSITIVE_INFINITY : 10_000),
      retry: (failures, error) => !(error instanceof ApiProblem) && failures < 3,
      retryDelay: (failures) => 1000 * 2 ** failures,
    },
    mutations: { networkMode: 'always', retry: false },
  },
});

export function Providers({ children }: { children: ReactNode }) {
  return (
    <QueryClientProvider client={queryClient}>
      <MantineProvider theme={theme} cssVariablesResolver={resolver} defaultColorScheme="auto">
        {children}
        <Notifications position="bottom-right" limit={3} autoClose={5000} />
        <div id="ms-live-polite" role="status" aria-live="polite" className="ms-visually-hidden" />
        <div id="ms-live-assertive" role="alert" aria-live="assertive" className="ms-visually-hidden" />
      </MantineProvider>
    </QueryClientProvider>
  );
}
