import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Restore } from '~/api/schema';
import { serverNow } from '~/shared/lib/now';
import { duration, parse } from '~/shared/lib/time';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Waiting } from '~/shared/ui/Skeletons';
import { Time } from '~/shared/ui/Time';
import { undoPlanQuery, useUndo } from '../queries';

/** Puts the data back that stands aside since the restore. */
export function UndoDialog({ project, restore, onClose }: { project: string; restore: Restore; onClose: () => void }) {
  const { data, error, isPending, refetch } = useQuery(undoPlanQuery(project, restore.id));
  const act = useUndo(project, restore);
  const [key] = useState(newKey);
  const since = parse(restore.finished_at) ?? serverNow();
  const written = duration(Math.max(60, Math.floor((serverNow() - since) / 60_000) * 60));
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Undo the restore of ${restore.target_cluster}`}
      action="Undo restore"
      typed={restore.target_cluster}
      danger
      busy={act.isPending}
      error={act.error}
      blocked={error ? error.message : data ? undefined : 'The plan is not there yet.'}
      onConfirm={() => act.mutate({ key, tag: data?.tag }, { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && refetch()) })}
    >
      <p style={{ margin: 0 }}>
        Puts back the data from before <Time at={restore.started_at} />. What was written to {restore.target_cluster} since then ({written}) is set aside in turn.
      </p>
      {isPending ? <Waiting /> : data ? <PlanText plan={data.plan} /> : <ActError error={error} />}
    </ConfirmDialog>
  );
}
