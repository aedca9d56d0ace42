import { useState, type ReactNode } from 'react';
import { ActionIcon, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { say } from '~/shared/lib/announce';
import classes from './CopyField.module.css';

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Copies `value`, and says so. */
export function CopyButton({ value, what, load }: { value?: string; what: string; load?: () => Promise<string> }) {
  const [state, setState] = useState<'idle' | 'copied' | 'refused'>('idle');
  const run = async () => {
    const done = await copy(value ?? (await load?.()) ?? '');
    setState(done ? 'copied' : 'refused');
    say(done ? 'Copied' : 'The browser does not let this page copy. Mark the text and copy it by hand.');
    setTimeout(() => setState('idle'), 2000);
  };
  const label = state === 'copied' ? 'Copied' : state === 'refused' ? 'Not copied: mark the text and copy it by hand' : `Copy ${what}`;
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size={28} aria-label={`Copy ${what}`} onClick={() => void run()}>
        {state === 'copied' ? <IconCheck size={16} stroke={1.75} /> : <IconCopy size={16} stroke={1.75} />}
      </ActionIcon>
    </Tooltip>
  );
}

interface Props {
  value: string;
  what: string;
  /** What is shown where it is not the value itself: dots for a secret. */
  shown?: string;
  /** A command: the `$` in front is not copied. */
  command?: boolean;
  multiline?: boolean;
  children?: ReactNode;
}

/** One line in mono, chosen whole on focus, with its button. */
export function CopyField({ value, what, shown, command, multiline, children }: Props) {
  return (
    <div className={classes.field} data-multiline={multiline || undefined}>
      {command ? (
        <span className={classes.prompt} aria-hidden>
          $
        </span>
      ) : null}
      {multiline ? (
        <pre className={classes.block} tabIndex={0} aria-label={what}>
          {shown ?? value}
        </pre>
      ) : (
        <input
          className={classes.input}
          readOnly
          value={shown ?? value}
          aria-label={what}
          title={shown ?? value}
          onFocus={(event) => event.currentTarget.select()}
        />
      )}
      <CopyButton value={value} what={what} />
      {children}
    </div>
  );
}
