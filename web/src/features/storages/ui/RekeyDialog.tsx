import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Storage } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Waiting } from '~/shared/ui/Skeletons';
import { rekeyPlanQuery, useRekeyStorage } from '../queries';

/** For a master key that somebody may have: what comes is written under others. */
export function RekeyDialog({ project, storage, onClose }: { project: string; storage: Storage; onClose: () => void }) {
  const { data, error, isPending, refetch } = useQuery(rekeyPlanQuery(project, storage.name));
  const act = useRekeyStorage(project, storage.name);
  const [key] = useState(newKey);
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Rekey ${storage.name}`}
      action="Rekey storage"
      busy={act.isPending}
      error={act.error}
      blocked={error ? error.message : data ? undefined : 'The plan is not there yet.'}
      onConfirm={() => act.mutate({ key, tag: data?.tag }, { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && refetch()) })}
    >
      {isPending ? <Waiting /> : data ? <PlanText plan={data.plan} /> : <ActError error={error} />}
    </ConfirmDialog>
  );
}
