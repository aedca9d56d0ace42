import { useId, useState, type FormEvent, type ReactNode } from 'react';
import { Button, Group, Modal, Stack, TextInput } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useConnection } from '~/api/connection';
import { ActError } from './ErrorCard';
import classes from './ConfirmDialog.module.css';

interface Props {
  opened: boolean;
  onClose: () => void;
  /** Verb and name. */
  title: string;
  /** What is lost, what stays, what can be undone, in numbers. */
  children: ReactNode;
  /** The verb again, with what it is done to. */
  action: string;
  /** The name to type, where something is lost. */
  typed?: string;
  danger?: boolean;
  busy?: boolean;
  error?: unknown;
  /** Why it cannot be done, in place of the button. */
  blocked?: string;
  onConfirm: () => void;
  size?: number;
  /** Where the focus starts: on Cancel where something is lost. */
  focus?: 'cancel' | 'action';
}

/** Mantine lets nobody choose the role; a question about loss is an alert. */
const urgent = (dialog: HTMLElement | null) => dialog?.setAttribute('role', 'alertdialog');

/** Says it, shows it, then asks; the button wakes when the name was typed. */
export function ConfirmDialog(props: Props) {
  const { opened, onClose, title, busy, size = 520 } = props;
  const small = useMediaQuery('(max-width: 767px)') ?? false;
  // While the server has not answered, closing would leave nobody to hear it.
  const close = () => {
    if (!busy) onClose();
  };
  return (
    <Modal.Root opened={opened} onClose={close} size={size} centered fullScreen={small} transitionProps={{ duration: 120 }} closeOnClickOutside={false}>
      <Modal.Overlay backgroundOpacity={0.4} />
      <Modal.Content ref={urgent} data-modal-content>
        <Modal.Header role="none">
          <Modal.Title>{title}</Modal.Title>
        </Modal.Header>
        <Modal.Body className={classes.body}>{opened ? <Inside {...props} onClose={close} /> : null}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}

function Inside({ onClose, children, action, typed, danger, busy, error, blocked, onConfirm, focus = 'cancel' }: Props) {
  const [text, setText] = useState('');
  const { link } = useConnection();
  const help = useId();
  const offline = link === 'offline';
  const ready = (typed === undefined || text.trim() === typed) && !blocked && !offline;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !busy) onConfirm();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        {children}
        {typed === undefined || blocked ? null : (
          <TextInput
            label={
              <>
                Type <strong className={classes.name}>{typed}</strong> to confirm
              </>
            }
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            aria-describedby={help}
          />
        )}
        <ActError error={error} />
        {offline ? <span id={help}>Not connected: nothing can be sent now.</span> : null}
        <Group justify="flex-end" gap="sm" className={classes.buttons}>
          <Button variant="default" onClick={onClose} disabled={busy} data-autofocus={focus === 'cancel' || undefined}>
            Cancel
          </Button>
          <Button type="submit" color={danger ? 'danger' : undefined} disabled={!ready} loading={busy} data-autofocus={focus === 'action' || undefined}>
            {action}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
