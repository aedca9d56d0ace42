import { useState } from 'react';
import { Checkbox } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { isProblem } from '~/api/problem';
import type { Cluster } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { count } from '~/shared/lib/bytes';
import { Time } from '~/shared/ui/Time';
import { clusterBackupsQuery, deletePlanQuery, useDeleteCluster } from '../queries';
import { protection } from '../model';
import { PlanText } from '~/shared/ui/PlanText';

/** Says what is lost before it asks for the name. */
export function DeleteDialog({ project, cluster, onClose }: { project: string; cluster: Cluster; onClose: () => void }) {
  const [everything, setEverything] = useState(false);
  const options = { skip_final_backup: everything };
  const { data, error, isPending, refetch } = useQuery(deletePlanQuery(project, cluster.name, options));
  const { data: backups } = useQuery(clusterBackupsQuery(project, cluster.name));
  const kept = backups?.items.filter((b) => b.status !== 'deleting' && b.status !== 'expired') ?? [];
  const storages = new Set(kept.flatMap((b) => b.copies.filter((c) => c.status !== 'expired').map((c) => c.storage)));
  const newest = cluster.recoverability.to;
  const act = useDeleteCluster(project, cluster.name);
  const guarded = protection(cluster);
  const confirm = () =>
    act.mutate(
      { ...options, confirm: cluster.name, tag: data?.tag },
      { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && refetch()) },
    );
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Delete ${cluster.name}`}
      action={everything ? 'Delete cluster and backups' : 'Delete cluster'}
      typed={cluster.name}
      danger
      busy={act.isPending}
      error={act.error}
      blocked={guarded ?? (error ? error.message : data ? undefined : 'The plan is not there yet.')}
      onConfirm={confirm}
    >
      {guarded ? (
        <Sentence tone="warn">{guarded}</Sentence>
      ) : (
        <>
          {isPending ? <Waiting /> : data ? <PlanText plan={data.plan} /> : <ActError error={error} />}
          {everything ? (
            <Sentence tone="bad" banner>
              Nothing can be brought back: the data of {cluster.name}
              {kept.length > 0 ? ` and ${backups?.next ? 'more than ' : ''}${count(kept.length, 'backup')} on ${count(storages.size, 'storage')}` : ' and every backup of it'} are gone at once.
              {newest ? (
                <>
                  {' '}
                  The newest good backup is from <Time at={newest} />.
                </>
              ) : null}
            </Sentence>
          ) : (
            <p style={{ margin: 0 }}>If the final backup fails, nothing is deleted. Until the backups expire the cluster can be brought back.</p>
          )}
          <Checkbox
            label="Skip the final backup and remove all backups now."
            checked={everything}
            onChange={(event) => setEverything(event.currentTarget.checked)}
          />
        </>
      )}
    </ConfirmDialog>
  );
}
