import { useEffect, useRef } from 'react';
import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { useConnection } from '~/api/connection';
import { reconnect } from '~/api/events';
import { recentOperationsQuery } from '~/features/operations';
import { count } from '~/shared/lib/bytes';
import { useNow } from '~/shared/lib/now';
import { usePreference } from '~/shared/lib/preferences';
import { wall } from '~/shared/lib/time';
import { Sentence } from '~/shared/ui/Sentence';

/** The server does not answer: databases keep running, and what is seen is from then. */
export function OfflineBar({ project }: { project: string }) {
  const { link, lostAt, retryAt } = useConnection();
  const hour12 = usePreference('hour12');
  const client = useQueryClient();
  useBack(project);
  const now = useNow(1000);
  if (link !== 'offline') return null;
  const wait = retryAt ? Math.max(0, Math.ceil((retryAt - now) / 1000)) : 0;
  const again = () => {
    reconnect();
    void client.refetchQueries({ type: 'active' });
  };
  return (
    <div style={{ padding: '8px 24px 0' }} role="alert">
      <Sentence
        tone="unknown"
        banner
        action={
          <Button variant="default" size="compact-sm" onClick={again}>
            Try now
          </Button>
        }
      >
        Mainstay does not answer since {lostAt ? wall(lostAt, { hour12 }, true) : 'a while'}. Databases keep running; what you see is from then.{' '}
        <span aria-hidden>{wait > 0 ? `Trying again in ${wait} s.` : 'Trying again.'}</span>
      </Sentence>
    </div>
  );
}

/** When it is back: everything is asked for again, and what was missed is counted. */
function useBack(project: string) {
  const { link, lostAt } = useConnection();
  const client = useQueryClient();
  const since = useRef<number>(undefined);
  useEffect(() => {
    if (link === 'offline') {
      since.current = lostAt ?? Date.now();
      return;
    }
    const from = since.current;
    if (from === undefined || lostAt !== undefined) return;
    since.current = undefined;
    void (async () => {
      await client.invalidateQueries();
      const operations = await client.fetchQuery({ ...recentOperationsQuery(project), staleTime: 0 });
      const missed = operations.items.filter((o) => Date.parse(o.finished_at ?? o.created_at) > from).length;
      notifications.show({ message: `Connected again. You missed ${count(missed, 'change')}.`, role: 'status' });
    })().catch(() => undefined);
  }, [link, lostAt, client, project]);
}
