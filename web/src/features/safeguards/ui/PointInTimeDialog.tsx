import { useState } from 'react';
import { MultiSelect, NumberInput, Radio, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { isProblem } from '~/api/problem';
import type { PointInTime, SetPointInTime } from '~/api/schema';
import { storageNamesQuery } from '~/features/clusters';
import { useSettled } from '~/shared/lib/settled';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { keepingDraft, keepingFaults } from '../model';
import { keepingPlanQuery, useSetKeeping } from '../queries';

interface Props {
  project: string;
  cluster: string;
  kept: PointInTime;
  tag?: string;
  onStale: () => void;
  onClose: () => void;
}

/** On, off, how far back, and where to. */
export function PointInTimeDialog({ project, cluster, kept, tag, onStale, onClose }: Props) {
  const [draft, setDraft] = useState(() => keepingDraft(kept));
  const { data: storages } = useQuery(storageNamesQuery(project));
  const set = useSetKeeping(project, cluster);
  const wrong = draft.on ? keepingFaults(draft) : {};
  const ready = Object.keys(wrong).length === 0;
  const body: SetPointInTime = draft.on ? { on: true, keep_days: Number(draft.days), storages: [...draft.storages] } : { on: false };
  const { settled, current } = useSettled(body);
  const { data: plan, error, isFetching } = useQuery(keepingPlanQuery(project, cluster, settled, ready));
  const action = draft.on ? (kept.on ? 'Apply' : 'Keep the log') : 'Stop keeping the log';
  const blocked = !ready ? 'A field needs a change.' : error ? error.message : plan && current ? undefined : 'The plan is not there yet.';
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Points in time of ${cluster}`}
      action={action}
      danger={!draft.on}
      busy={set.isPending}
      error={set.error}
      blocked={blocked}
      onConfirm={() => set.mutate({ body, tag }, { onSuccess: onClose, onError: (e) => isProblem(e, 412) && onStale() })}
    >
      <Stack gap="md">
        {kept.on ? (
          <Radio.Group aria-label="Points in time" value={draft.on ? 'on' : 'off'} onChange={(next) => setDraft({ ...draft, on: next === 'on' })}>
            <Stack gap="xs">
              <Radio value="on" label="On" description="The log is kept as it is written: any second of the window can be restored." />
              <Radio value="off" label="Off" description="What was kept stays restorable as long as the backups it goes on from." />
            </Stack>
          </Radio.Group>
        ) : (
          <p style={{ margin: 0 }}>The log of {cluster} is kept as it is written. From the next backup on any second can be restored, not only the moments of backups.</p>
        )}
        {draft.on ? (
          <>
            <NumberInput label="Keep at least" suffix=" days" min={1} max={3650} allowDecimal={false} value={draft.days} onChange={(days) => setDraft({ ...draft, days })} error={wrong.days} maw={200} />
            <MultiSelect label="Storages" data={storages ?? []} value={[...draft.storages]} onChange={(next) => setDraft({ ...draft, storages: next })} error={wrong.storages} />
          </>
        ) : (
          <Sentence tone="warn">From now on only the moments of backups can be restored.</Sentence>
        )}
        {!ready ? null : plan && current ? <PlanText plan={plan} /> : isFetching || !current ? <Waiting /> : <ActError error={error} />}
      </Stack>
    </ConfirmDialog>
  );
}
