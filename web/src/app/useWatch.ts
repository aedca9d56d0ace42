import { useEffect, useRef } from 'react';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { connection } from '~/api/connection';
import type { Operation } from '~/api/schema';
import { clustersQuery } from '~/features/clusters';
import { isMine, recentOperationsQuery, title } from '~/features/operations';
import { duration } from '~/shared/lib/time';
import { lookOf } from '~/shared/lib/statuses';
import { setTrouble } from '~/shared/lib/title';
import { active } from '~/shared/ui/OperationBar';

/** Tells the end of work that was begun in this browser, and keeps the tab's title honest. */
export function useWatch(project: string) {
  const client = useQueryClient();
  const { data } = useQuery(recentOperationsQuery(project));
  const { data: clusters } = useQuery(clustersQuery(project));
  const running = useRef(new Set<string>());
  useEffect(() => {
    let over = false;
    for (const o of data?.items ?? []) {
      if (active(o)) running.current.add(o.id);
      else if (running.current.delete(o.id)) {
        over = true;
        if (isMine(o.id)) tell(o);
      }
    }
    // Settings and lists that hang on a cluster have no events of their own.
    if (over) void client.invalidateQueries({ queryKey: [project, 'clusters', 'part'] });
    // Without a stream nobody says what an operation changed.
    if (over && connection().link !== 'live') void client.invalidateQueries({ queryKey: [project] });
  }, [data, client, project]);
  useEffect(() => setTrouble(clusters?.items.some((c) => lookOf('cluster', c.status).tone === 'bad') ?? false), [clusters]);
}

function tell(o: Operation) {
  const word = lookOf('operation', o.status).word.toLowerCase();
  const took = o.finished_at ? ` after ${duration((Date.parse(o.finished_at) - Date.parse(o.created_at)) / 1000)}` : '';
  if (o.status === 'succeeded') {
    notifications.show({ message: `${title(o)}: done${took}.`, role: 'status' });
    return;
  }
  notifications.show({ title: `${title(o)}: ${word}`, message: o.error?.message ?? `It ended${took}.`, color: 'danger', autoClose: false, role: 'alert' });
}
