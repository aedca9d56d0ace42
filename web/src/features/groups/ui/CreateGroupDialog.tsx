import { useState } from 'react';
import { TextInput } from '@mantine/core';
import { newKey } from '~/api/client';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { membersFault } from '../model';
import { useCreateGroup } from '../queries';
import { MemberChoice } from './MemberChoice';

export function CreateGroupDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const [name, setName] = useState('');
  const [members, setMembers] = useState<string[]>([]);
  const [tried, setTried] = useState(false);
  const [key, setKey] = useState(newKey);
  const act = useCreateGroup(project);
  const nameFault = /^[a-z][a-z0-9-]{1,38}[a-z0-9]$/.test(name) ? undefined : 'Use 3 to 40 characters: a-z, 0-9 and -, starting with a letter and not ending with -.';
  const send = () => {
    setTried(true);
    if (!nameFault && !membersFault(members)) act.mutate({ key, body: { name, members } }, { onSuccess: onClose, onError: () => setKey(newKey()) });
  };
  return (
    <ConfirmDialog opened onClose={onClose} title="Create group" action="Create group" busy={act.isPending} error={act.error} focus="action" onConfirm={send}>
      <p style={{ margin: 0 }}>Its members are backed up and restored as a whole, at one moment.</p>
      <TextInput label="Name" placeholder="shop" value={name} onChange={(e) => setName(e.currentTarget.value)} error={tried ? nameFault : undefined} autoComplete="off" spellCheck={false} />
      <MemberChoice project={project} members={members} onChange={setMembers} fault={tried ? membersFault(members) : undefined} />
    </ConfirmDialog>
  );
}
