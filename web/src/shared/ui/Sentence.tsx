import type { ReactNode } from 'react';
import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleX,
  IconHelpCircle,
  IconInfoCircle,
  IconLoader2,
} from '@tabler/icons-react';
import type { Tone } from '~/shared/lib/statuses';
import classes from './Sentence.module.css';

const icons = { good: IconCircleCheck, busy: IconLoader2, warn: IconAlertTriangle, bad: IconCircleX, idle: IconInfoCircle, unknown: IconHelpCircle };
const names = { good: 'Good', busy: 'Working', warn: 'Warning', bad: 'Trouble', idle: 'Note', unknown: 'Unknown' };

interface Props {
  tone: Tone;
  children: ReactNode;
  /** The one next step. */
  action?: ReactNode;
  large?: boolean;
  /** A line across the page or card, on its soft fill. */
  banner?: boolean;
}

/** One sentence about a state, with its tone as an icon in front. */
export function Sentence({ tone, children, action, large, banner }: Props) {
  const Icon = icons[tone];
  return (
    <div className={classes.sentence} data-tone={tone} data-large={large || undefined} data-banner={banner || undefined}>
      <Icon size={large ? 20 : 16} stroke={1.75} aria-hidden className={classes.icon} />
      <span className="ms-visually-hidden">{names[tone]}: </span>
      <div className={classes.text}>{children}</div>
      {action ? <div className={classes.action}>{action}</div> : null}
    </div>
  );
}
