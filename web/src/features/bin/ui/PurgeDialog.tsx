import { useQuery } from '@tanstack/react-query';
import { isProblem } from '~/api/problem';
import type { Backup, Cluster } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { Time } from '~/shared/ui/Time';
import { purgePlanQuery, usePurge } from '../queries';

/** The end of it: after this nothing brings it back. */
export function PurgeDialog({ project, cluster, backups, onClose }: { project: string; cluster: Cluster; backups: readonly Backup[]; onClose: () => void }) {
  const { data, error, isPending, refetch } = useQuery(purgePlanQuery(project, cluster.id));
  const act = usePurge(project, cluster);
  const storages = new Set(backups.flatMap((b) => b.copies.filter((c) => c.status !== 'expired').map((c) => c.storage))).size;
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Delete ${cluster.name} for good`}
      action="Delete for good"
      typed={cluster.name}
      danger
      busy={act.isPending}
      error={act.error}
      blocked={error ? error.message : data ? undefined : 'The plan is not there yet.'}
      onConfirm={() => act.mutate({ tag: data?.tag }, { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && refetch()) })}
    >
      <Sentence tone="bad" banner>
        Nothing can be brought back: {count(backups.length, 'backup')} on {count(storages, 'storage')} {backups.length === 1 ? 'is' : 'are'} gone.
        {cluster.recoverability.to ? (
          <>
            {' '}
            The newest good one is from <Time at={cluster.recoverability.to} />.
          </>
        ) : null}
      </Sentence>
      {isPending ? <Waiting /> : data ? <PlanText plan={data.plan} /> : <ActError error={error} />}
    </ConfirmDialog>
  );
}
