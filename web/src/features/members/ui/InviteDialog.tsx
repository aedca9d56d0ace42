import { useState } from 'react';
import { Select, TextInput } from '@mantine/core';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Role } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { mayDo, roles } from '../model';
import { useInvite } from '../queries';
import { LinkOnce } from './LinkOnce';

/** A link for one person, shown once: whoever has it becomes a member. */
export function InviteDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('operator');
  const [tried, setTried] = useState(false);
  const [key] = useState(newKey);
  const act = useInvite(project);
  const fault = /^\S+@\S+$/.test(email.trim()) ? undefined : 'Use an e-mail address, like ann@example.org.';
  const send = () => {
    setTried(true);
    if (!fault) act.mutate({ key, body: { email: email.trim(), role } });
  };
  if (act.data) return <LinkOnce title={`Invitation for ${email}`} to={email} does="becomes a member" link={act.data} onClose={onClose} />;
  const named = isProblem(act.error, 422) && act.error.field === 'email' ? act.error.detail : undefined;
  return (
    <ConfirmDialog opened onClose={onClose} title={`Invite to ${project}`} action="Invite" busy={act.isPending} error={named ? undefined : act.error} focus="action" onConfirm={send}>
      <TextInput label="E-mail" type="email" placeholder="ann@example.org" value={email} onChange={(e) => setEmail(e.currentTarget.value)} error={(tried ? fault : undefined) ?? named} autoComplete="off" data-autofocus />
      <Select
        label="Role"
        description={mayDo.find((m) => m.from === role)?.what}
        data={[...roles]}
        value={role}
        onChange={(next) => setRole((next ?? 'viewer') as Role)}
        allowDeselect={false}
      />
    </ConfirmDialog>
  );
}
