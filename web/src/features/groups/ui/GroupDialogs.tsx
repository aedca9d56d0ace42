import { useState } from 'react';
import { Checkbox, NumberInput, Stack, TextInput } from '@mantine/core';
import { newKey } from '~/api/client';
import type { CreateBackup, Group } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { membersChange, membersFault } from '../model';
import { useBackUpGroup, useDeleteGroup, useSetMembers } from '../queries';
import { MemberChoice } from './MemberChoice';

interface Props {
  project: string;
  group: Group;
  onClose: () => void;
}

export function BackUpGroupDialog({ project, group, onClose }: Props) {
  const [description, setDescription] = useState('');
  const [days, setDays] = useState<number | string>(7);
  const [keep, setKeep] = useState(false);
  const [key] = useState(newKey);
  const act = useBackUpGroup(project, group.id);
  const wrong = !keep && (typeof days !== 'number' || days < 1);
  const body = { ...(description.trim() ? { description: description.trim() } : {}), ...(keep ? { keep: true } : { retention_days: Number(days) }) } as CreateBackup;
  return (
    <ConfirmDialog opened onClose={onClose} title={`Back up ${group.name}`} action="Back up group now" busy={act.isPending} error={act.error} blocked={wrong ? 'Say how many days it is kept.' : undefined} focus="action" onConfirm={() => act.mutate({ key, body }, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>{group.members.join(', ')} are backed up at one point: their writes wait for a moment. It is a backup of the group only when every part is good.</p>
      <Stack gap="md">
        <TextInput label="Description" value={description} onChange={(e) => setDescription(e.currentTarget.value)} maxLength={200} />
        <NumberInput label="Keep for" value={days} onChange={setDays} min={1} max={36_500} suffix=" days" disabled={keep} error={wrong ? 'Use 1 day or more.' : undefined} />
        <Checkbox label="Keep it until it is deleted by hand" checked={keep} onChange={(e) => setKeep(e.currentTarget.checked)} />
      </Stack>
    </ConfirmDialog>
  );
}

export function MembersDialog({ project, group, onClose }: Props) {
  const [members, setMembers] = useState(group.members);
  const act = useSetMembers(project, group.id);
  const fault = membersFault(members);
  const change = membersChange(group.members, members);
  return (
    <ConfirmDialog opened onClose={onClose} title={`Members of ${group.name}`} action="Set members" busy={act.isPending} error={act.error} blocked={fault ?? (change ? undefined : 'Nothing was changed.')} focus="action" onConfirm={() => act.mutate(members, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>Those chosen are backed up at one point from the next backup on. Earlier backups of the group stay as they are.</p>
      <MemberChoice project={project} members={members} onChange={setMembers} fault={fault} />
      {change ? <p style={{ margin: 0 }}>{change}.</p> : null}
    </ConfirmDialog>
  );
}

export function DeleteGroupDialog({ project, group, onClose }: Props) {
  const act = useDeleteGroup(project, group.id);
  return (
    <ConfirmDialog opened onClose={onClose} title={`Delete the group ${group.name}`} action="Delete group" typed={group.name} danger busy={act.isPending} error={act.error} onConfirm={() => act.mutate(undefined, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>
        {group.members.join(', ')} stay as they are, and so do their own backups. They are no longer backed up at one point, and its earlier backups can no longer be restored as a whole.
      </p>
    </ConfirmDialog>
  );
}
