import type { ReactNode } from 'react';
import classes from './Safeguards.module.css';

/** One thing that can be set, how it stands, and the button that changes it. */
export function Row({ label, children, action }: { label: string; children: ReactNode; action?: ReactNode }) {
  return (
    <li className={classes.row}>
      <span className={classes.label}>{label}</span>
      <div className={classes.what}>{children}</div>
      {action ?? <span />}
    </li>
  );
}
