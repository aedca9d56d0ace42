import { useState } from 'react';
import { NumberInput, Select, TextInput } from '@mantine/core';
import { newKey } from '~/api/client';
import type { CreateToken, Role } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { CopyField } from '~/shared/ui/CopyField';
import { Sentence } from '~/shared/ui/Sentence';
import { roleSays } from '../model';
import { useCreateToken } from '../queries';

const roles: readonly Role[] = ['viewer', 'operator', 'admin', 'owner'];

export function CreateTokenDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [days, setDays] = useState<number | string>(90);
  const [tried, setTried] = useState(false);
  const [key] = useState(newKey);
  const act = useCreateToken(project);
  const fault = name.trim() === '' ? 'Give it a name that says what uses it.' : undefined;
  const send = () => {
    setTried(true);
    if (!fault) act.mutate({ key, body: { name: name.trim(), role, project, ...(typeof days === 'number' && days > 0 ? { expires: days } : {}) } as CreateToken });
  };
  if (act.data) {
    return (
      <ConfirmDialog opened onClose={onClose} title={`Token ${name}`} action="I have copied it" onConfirm={onClose} focus="action">
        <Sentence tone="warn">Copy it now. It is not shown again.</Sentence>
        <CopyField value={act.data.token} what="the token" />
      </ConfirmDialog>
    );
  }
  return (
    <ConfirmDialog opened onClose={onClose} title="Create token" action="Create token" busy={act.isPending} error={act.error} focus="action" onConfirm={send}>
      <TextInput label="Name" placeholder="nightly-report" value={name} onChange={(e) => setName(e.currentTarget.value)} error={tried ? fault : undefined} autoComplete="off" />
      <Select label={`Role in ${project}`} data={roles.map((r) => ({ value: r, label: `${r}: ${roleSays[r]}` }))} value={role} onChange={(next) => setRole((next ?? 'viewer') as Role)} allowDeselect={false} />
      <NumberInput label="Expires after" description="Days; empty for never" value={days} onChange={setDays} min={1} max={3650} allowDecimal={false} suffix=" days" />
    </ConfirmDialog>
  );
}
