import { useState } from 'react';
import { Stack, TextInput, UnstyledButton } from '@mantine/core';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { Sentence } from '~/shared/ui/Sentence';
import { addable, bodyOf, faults, type Draft } from '../model';
import { useAddStorage } from '../queries';
import { FieldInput } from './FieldInput';
import classes from './Storages.module.css';

/** The kind first, then that kind's fields alone. The server looks at the place before it takes it. */
export function AddStorageDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const [kind, setKind] = useState('s3');
  const [draft, setDraft] = useState<Draft>({});
  const [tried, setTried] = useState(false);
  const [key, setKey] = useState(newKey);
  const add = useAddStorage(project);
  const chosen = addable.find((k) => k.kind === kind) ?? addable[0];
  if (!chosen) return null;
  const wrong = tried ? faults(chosen.fields, draft) : {};
  const problem = isProblem(add.error) ? add.error : undefined;
  const named = problem?.field && ['name', ...chosen.fields.map((f) => f.name)].includes(problem.field) ? problem.field : undefined;
  const faultOf = (name: string) => wrong[name] ?? (named === name ? problem?.detail : undefined);
  const change = (name: string, value: string) => {
    setDraft((before) => ({ ...before, [name]: value }));
    if (add.error) add.reset();
    // What is sent next is another order.
    setKey(newKey());
  };
  const send = () => {
    setTried(true);
    if (Object.keys(faults(chosen.fields, draft)).length === 0) add.mutate({ key, body: bodyOf(kind, chosen.fields, draft) }, { onSuccess: onClose });
  };
  return (
    <ConfirmDialog opened onClose={onClose} title="Add storage" action="Check and add storage" size={640} busy={add.isPending} error={named ? undefined : add.error} focus="action" onConfirm={send}>
      <Stack gap="md">
        <div role="group" aria-label="Kind of storage" className={classes.kinds}>
          {addable.map((k) => (
            <UnstyledButton key={k.kind} className={classes.kindCard} aria-pressed={k.kind === kind} onClick={() => setKind(k.kind)}>
              <span className={classes.kindTitle}>{k.title}</span>
              <span className={classes.kindSays}>{k.says}</span>
            </UnstyledButton>
          ))}
        </div>
        <TextInput label="Name" placeholder={`${kind}-frankfurt`} value={draft['name'] ?? ''} onChange={(e) => change('name', e.currentTarget.value)} error={faultOf('name')} autoComplete="off" spellCheck={false} withAsterisk />
        {chosen.fields.map((f) => (
          <FieldInput key={f.name} field={f} value={draft[f.name] ?? ''} fault={faultOf(f.name)} onChange={(value) => change(f.name, value)} />
        ))}
        <Sentence tone="idle">It is looked at before it is added: reached, written to and read back. Nothing is added where that fails.</Sentence>
      </Stack>
    </ConfirmDialog>
  );
}
