import { useState } from 'react';
import { Stack } from '@mantine/core';
import { isProblem } from '~/api/problem';
import type { Storage } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { Sentence } from '~/shared/ui/Sentence';
import { loginBody, loginFaults, loginFields } from '../login';
import type { Draft } from '../model';
import { useSetStorage } from '../queries';
import { FieldInput } from './FieldInput';

/** Another login for the same place. What is typed goes in and never comes out. */
export function LoginDialog({ project, storage, onClose }: { project: string; storage: Storage; onClose: () => void }) {
  const [draft, setDraft] = useState<Draft>({});
  const [tried, setTried] = useState(false);
  const act = useSetStorage(project, storage.name);
  const fields = loginFields(storage);
  const body = loginBody(fields, draft);
  const faults = loginFaults(draft);
  const wrong = tried ? faults : {};
  const problem = isProblem(act.error) ? act.error : undefined;
  const named = fields.find((f) => f.name === problem?.field)?.name;
  const change = (name: string, value: string) => {
    setDraft((before) => ({ ...before, [name]: value }));
    if (act.error) act.reset();
  };
  const send = () => {
    setTried(true);
    if (Object.keys(faults).length === 0) act.mutate(body, { onSuccess: onClose });
  };
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Change the credentials of ${storage.name}`}
      action="Check and change"
      size={640}
      busy={act.isPending}
      error={named ? undefined : act.error}
      blocked={Object.keys(body).length === 0 ? 'Nothing was filled in.' : undefined}
      focus="action"
      onConfirm={send}
    >
      <p style={{ margin: 0 }}>
        {storage.location} stays the place; backups, schedules and the log notice nothing. Give the new key here before the old one ends.
      </p>
      <Stack gap="md">
        {fields.map((f) => (
          <FieldInput key={f.name} field={f} value={draft[f.name] ?? ''} fault={wrong[f.name] ?? (named === f.name ? problem?.detail : undefined)} onChange={(value) => change(f.name, value)} />
        ))}
      </Stack>
      <Sentence tone="idle">It is looked at with the new login first: reached, written to and read back. Where that fails the old one stays.</Sentence>
    </ConfirmDialog>
  );
}
