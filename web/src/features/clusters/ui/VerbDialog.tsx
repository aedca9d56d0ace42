import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Cluster } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { Waiting } from '~/shared/ui/Skeletons';
import { useVerb, verbPlanQuery } from '../queries';
import { PlanText } from '~/shared/ui/PlanText';

type Verb = 'start' | 'stop' | 'restart' | 'rotate';

const words: Record<Verb, { title: string; action: string; says: (name: string) => string }> = {
  start: { title: 'Start', action: 'Start cluster', says: (n) => `The nodes of ${n} start, the primary first.` },
  stop: { title: 'Stop', action: 'Stop cluster', says: (n) => `${n} does not serve until it is started again. Open sessions are closed. Data and backups stay; no backup is made while it is stopped.` },
  restart: { title: 'Restart', action: 'Restart cluster', says: (n) => `The nodes of ${n} restart one after another, the primary last.` },
  rotate: {
    title: 'Rotate the password of',
    action: 'Rotate password',
    says: () => 'Clients that hold the old password keep their open sessions and need the new one to connect again.',
  },
};

/** Start, stop, restart, rotate: each with what the server would do. */
export function VerbDialog({ project, cluster, verb, onClose }: { project: string; cluster: Cluster; verb: Verb; onClose: () => void }) {
  const { data, error, isPending, refetch } = useQuery(verbPlanQuery(project, cluster.name, verb));
  const act = useVerb(project, cluster.name);
  const [key] = useState(newKey);
  const { title, action, says } = words[verb];
  const confirm = () =>
    act.mutate({ verb, key, tag: data?.tag }, { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && refetch()) });
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`${title} ${cluster.name}`}
      action={action}
      busy={act.isPending}
      error={act.error}
      blocked={error ? error.message : data ? undefined : 'The plan is not there yet.'}
      onConfirm={confirm}
    >
      <p style={{ margin: 0 }}>{says(cluster.name)}</p>
      {isPending ? <Waiting /> : data ? <PlanText plan={data.plan} summary={false} /> : <ActError error={error} />}
    </ConfirmDialog>
  );
}
