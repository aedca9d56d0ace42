import { Button } from '@mantine/core';
import classes from './TerminalPage.module.css';

/** Keys that a phone's keyboard lacks. */
const KEYS: [string, string, string][] = [
  ['Ctrl C', '\u0003', 'Cancel, Ctrl C'],
  ['Tab', '\t', 'Tab'],
  ['←', '\u001b[D', 'Left'],
  ['→', '\u001b[C', 'Right'],
  ['↑', '\u001b[A', 'The line before'],
  ['↓', '\u001b[B', 'The line after'],
  ['Home', '\u001b[H', 'Home, the beginning of the line'],
  ['End', '\u001b[F', 'End of the line'],
];

export function TouchKeys({ press }: { press: (data: string) => void }) {
  return (
    <div className={classes.touch} role="group" aria-label="Keys">
      {KEYS.map(([label, data, name]) => (
        // The keyboard on the screen stays open: the focus is not taken.
        <Button key={label} variant="default" size="compact-md" mih={44} aria-label={name} onPointerDown={(e) => e.preventDefault()} onClick={() => press(data)}>
          {label}
        </Button>
      ))}
    </div>
  );
}
