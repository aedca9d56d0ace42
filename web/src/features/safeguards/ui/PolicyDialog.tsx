import { useState } from 'react';
import { Checkbox, NumberInput, Radio, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { isProblem } from '~/api/problem';
import type { BackupPolicy } from '~/api/schema';
import { useSettled } from '~/shared/lib/settled';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { policyBody, policyDraft, policyFaults, type PolicyDraft } from '../model';
import { policyPlanQuery, useSetPolicy } from '../queries';

interface Props {
  project: string;
  cluster: string;
  policy: BackupPolicy;
  tag?: string;
  onStale: () => void;
  onClose: () => void;
}

/** What a change would delete is listed before it is saved; where it deletes, the name is typed. */
export function PolicyDialog({ project, cluster, policy, tag, onStale, onClose }: Props) {
  const [draft, setDraft] = useState<PolicyDraft>(() => policyDraft(policy));
  const set = useSetPolicy(project, cluster);
  const change = (part: Partial<PolicyDraft>) => setDraft((before) => ({ ...before, ...part }));
  const wrong = policyFaults(draft);
  const ready = Object.keys(wrong).length === 0;
  const body = policyBody(draft);
  const { settled, current } = useSettled(body);
  const { data: plan, error, isFetching } = useQuery(policyPlanQuery(project, cluster, settled, ready));
  // The first sentence counts; each after it is a backup that goes, or a single copy of one that stays.
  const goes = (plan?.summary.length ?? 0) > 1;
  const blocked = !ready ? 'A field needs a change.' : error ? error.message : plan && current ? undefined : 'The plan is not there yet.';
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Rules for the backups of ${cluster}`}
      action="Save rules"
      typed={goes && current ? cluster : undefined}
      danger={goes}
      busy={set.isPending}
      error={set.error}
      blocked={blocked}
      onConfirm={() => set.mutate({ body: goes ? { ...body, confirm: cluster } : body, tag }, { onSuccess: onClose, onError: (e) => isProblem(e, 412) && onStale() })}
    >
      <Stack gap="md">
        <Radio.Group label="Read from" value={draft.from} onChange={(from) => change({ from: from as PolicyDraft['from'] })}>
          <Stack gap="xs" mt={4}>
            <Radio value="replica" label="A replica" description="Healthy and caught up, where there is one: least effect on who writes." />
            <Radio value="primary" label="The primary" description="Those before a restore, a promotion or a deletion are read from it in any case." />
          </Stack>
        </Radio.Group>
        <NumberInput label="Always keep the newest good" min={1} max={1000} allowDecimal={false} value={draft.minKeep} onChange={(minKeep) => change({ minKeep })} error={wrong.minKeep} maw={260} />
        <NumberInput
          label="Of those made by hand keep the newest"
          description="Empty: 7 days. Those of which it was said how long follow that."
          min={1}
          allowDecimal={false}
          value={draft.keepLast}
          onChange={(keepLast) => change({ keepLast })}
          error={wrong.keepLast}
          maw={360}
        />
        <Checkbox label="At most one backup by hand in an hour" checked={draft.limit} onChange={(e) => change({ limit: e.currentTarget.checked })} />
        {!ready ? null : plan && current ? goes ? <PlanText plan={plan} /> : <Sentence tone="good">No backup and no copy is deleted by this.</Sentence> : isFetching || !current ? <Waiting /> : <ActError error={error} />}
      </Stack>
    </ConfirmDialog>
  );
}
