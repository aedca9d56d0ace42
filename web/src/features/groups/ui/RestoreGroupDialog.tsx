import { useState } from 'react';
import { Radio, Stack, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import type { Group, GroupBackup, RestoreGroup } from '~/api/schema';
import { clustersQuery } from '~/features/clusters';
import { useMay } from '~/shared/lib/role';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Waiting } from '~/shared/ui/Skeletons';
import { Time } from '~/shared/ui/Time';
import { suffixFault } from '../model';
import { groupRestorePlanQuery, useRestoreGroup } from '../queries';

/** All members together; new clusters come first, as nothing is lost by them. */
export function RestoreGroupDialog({ project, group, backup, onClose }: { project: string; group: Group; backup: GroupBackup; onClose: () => void }) {
  const admin = useMay('admin');
  const { data: clusters } = useQuery(clustersQuery(project));
  const [where, setWhere] = useState<'new' | 'members'>('new');
  const [suffix, setSuffix] = useState('restored');
  const fault = where === 'new' ? suffixFault(suffix, group.members, clusters?.items.map((c) => c.name) ?? []) : undefined;
  const wish = where === 'members' ? { in_place: true } : fault ? undefined : { new_suffix: `-${suffix}` };
  const [settled] = useDebouncedValue(wish, 300);
  const plan = useQuery(groupRestorePlanQuery(project, backup.id, settled as RestoreGroup | undefined));
  const act = useRestoreGroup(project, backup.id);
  const [key] = useState(newKey);
  const current = JSON.stringify(wish) === JSON.stringify(settled);
  const blocked = fault ?? (plan.error ? plan.error.message : plan.data && current ? undefined : 'The plan is not there yet.');
  const send = () => act.mutate({ key, body: { ...wish, ...(where === 'members' ? { confirm: group.name } : {}) } as RestoreGroup }, { onSuccess: onClose });
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Restore ${group.name}`}
      action={where === 'new' ? 'Restore to new clusters' : 'Restore this group'}
      typed={where === 'members' ? group.name : undefined}
      danger={where === 'members'}
      size={640}
      busy={act.isPending}
      error={act.error}
      blocked={blocked}
      onConfirm={send}
    >
      <p style={{ margin: 0 }}>
        All members get the data of <Time at={backup.created_at} />, so that they fit together.
      </p>
      <Radio.Group value={where} onChange={(next) => setWhere(next as typeof where)} aria-label="Where to restore">
        <Stack gap="sm">
          <Radio value="new" label="New clusters" description="Nothing is lost. They are made beside the others." />
          {where === 'new' ? (
            <TextInput label="What their names end with" description={group.members.map((m) => `${m}-${suffix}`).join(', ')} value={suffix} onChange={(e) => setSuffix(e.currentTarget.value)} error={fault} ml={28} autoComplete="off" spellCheck={false} />
          ) : null}
          {admin ? <Radio value="members" label="The members themselves" description="Their data is replaced. Safety backups are made first, and the old data stays aside for a while." /> : null}
        </Stack>
      </Radio.Group>
      {plan.isFetching && !plan.data ? <Waiting /> : plan.data && current ? <PlanText plan={plan.data} /> : <ActError error={plan.error} />}
    </ConfirmDialog>
  );
}
