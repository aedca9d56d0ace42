import { useState } from 'react';
import { PasswordInput, SegmentedControl, Stack, TextInput } from '@mantine/core';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { CopyField } from '~/shared/ui/CopyField';
import { Sentence } from '~/shared/ui/Sentence';
import { emptyNotifier, notifierBody, notifierFaults, type NotifierDraft } from '../model';
import { useAddNotifier } from '../queries';
import { EventsField } from './EventsField';

const show = { 'aria-label': 'Show it', tabIndex: 0 };

/** An e-mail address or a webhook, and what it is told. */
export function AddNotifierDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const [draft, setDraft] = useState<NotifierDraft>(emptyNotifier);
  const [tried, setTried] = useState(false);
  const [key, setKey] = useState(newKey);
  const add = useAddNotifier(project);
  // A webhook without a secret has one drawn, which is told this once.
  const drawn = (add.data as { secret?: string | null } | undefined)?.secret;
  const problem = isProblem(add.error) ? add.error : undefined;
  const wrong = tried ? notifierFaults(draft) : {};
  const named = problem?.field && problem.field in draft ? (problem.field as keyof NotifierDraft) : undefined;
  const faultOf = (name: keyof NotifierDraft) => wrong[name] ?? (named === name ? problem?.detail : undefined);
  const change = (part: Partial<NotifierDraft>) => {
    setDraft((before) => ({ ...before, ...part }));
    setKey(newKey());
  };
  const send = () => {
    if (drawn) return onClose();
    setTried(true);
    if (Object.keys(notifierFaults(draft)).length > 0) return undefined;
    return add.mutate({ key, body: notifierBody(draft) }, { onSuccess: (made) => (made as { secret?: string | null }).secret || onClose() });
  };
  const input = (name: keyof NotifierDraft & ('name' | 'url' | 'smtp' | 'from' | 'to' | 'username'), label: string, placeholder: string, description?: string) => (
    <TextInput label={label} placeholder={placeholder} description={description} value={draft[name]} onChange={(e) => change({ [name]: e.currentTarget.value })} error={faultOf(name)} autoComplete="off" spellCheck={false} />
  );
  if (drawn) {
    return (
      <ConfirmDialog opened onClose={onClose} title={`Secret of ${draft.name}`} action="I have copied it" onConfirm={onClose} focus="action">
        <Sentence tone="warn">Copy it now. It is not shown again. What receives the messages checks their signature with it.</Sentence>
        <CopyField value={drawn} what="the secret" />
      </ConfirmDialog>
    );
  }
  return (
    <ConfirmDialog opened onClose={onClose} title="Add notifier" action="Add notifier" size={600} busy={add.isPending} error={named ? undefined : add.error} focus="action" onConfirm={send}>
      <Stack gap="md">
        <SegmentedControl
          aria-label="Kind of notifier"
          value={draft.kind}
          onChange={(kind) => change({ kind: kind as NotifierDraft['kind'] })}
          data={[
            { value: 'webhook', label: 'Webhook' },
            { value: 'email', label: 'E-mail' },
          ]}
        />
        {input('name', 'Name', 'ops')}
        {draft.kind === 'webhook' ? (
          <>
            {input('url', 'Address', 'https://hooks.example.org/mainstay', 'Messages are posted to it as JSON, signed')}
            <PasswordInput label="Secret" description="What messages are signed with; drawn and shown once where it is empty" value={draft.secret} onChange={(e) => change({ secret: e.currentTarget.value })} error={faultOf('secret')} autoComplete="off" visibilityToggleButtonProps={show} />
          </>
        ) : (
          <>
            {input('smtp', 'Mail server', 'smtps://mail.example.org', 'smtps:// for TLS, smtp:// for STARTTLS')}
            {input('from', 'Sender', 'mainstay@example.org')}
            {input('to', 'Receivers', 'ops@example.org, ann@example.org')}
            {input('username', 'User name', 'mainstay')}
            <PasswordInput label="Password" description="Kept sealed, never shown again" value={draft.password} onChange={(e) => change({ password: e.currentTarget.value })} error={faultOf('password')} autoComplete="off" visibilityToggleButtonProps={show} />
          </>
        )}
        <EventsField value={draft.events} onChange={(events) => change({ events })} />
      </Stack>
    </ConfirmDialog>
  );
}
