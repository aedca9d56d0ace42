import { useState } from 'react';
import { TextInput } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { nameFault } from '../model';
import { useCreateProject } from '../queries';

/** For administrators: what belongs together, and who may see it. */
export function NewProjectDialog({ taken, onClose }: { taken: readonly string[]; onClose: () => void }) {
  const [name, setName] = useState('');
  const [tried, setTried] = useState(false);
  const [key] = useState(newKey);
  const navigate = useNavigate();
  const act = useCreateProject();
  const fault = nameFault(name, taken);
  const named = isProblem(act.error, 422) && act.error.field === 'name' ? act.error.detail : undefined;
  const create = () => {
    setTried(true);
    if (fault) return;
    const onSuccess = () => {
      onClose();
      void navigate({ to: '/p/$project/clusters', params: { project: name } });
    };
    act.mutate({ key, name }, { onSuccess });
  };
  return (
    <ConfirmDialog opened onClose={onClose} title="New project" action="Create project" busy={act.isPending} error={named ? undefined : act.error} focus="action" onConfirm={create}>
      <p style={{ margin: 0 }}>It has clusters, storages and members of its own, and a storage local in a directory of its own.</p>
      <TextInput label="Name" placeholder="lab" value={name} onChange={(e) => setName(e.currentTarget.value)} error={(tried ? fault : undefined) ?? named} autoComplete="off" spellCheck={false} data-autofocus />
    </ConfirmDialog>
  );
}
