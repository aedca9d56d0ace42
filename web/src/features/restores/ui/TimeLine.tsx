import type { CSSProperties, KeyboardEvent, ReactNode } from 'react';
import type { Backup } from '~/api/schema';
import { nameOf } from '~/features/backups';
import { useClock } from '~/shared/lib/clock';
import { serverNow, useNow } from '~/shared/lib/now';
import { moment } from '~/shared/lib/time';
import { StatusIcon } from '~/shared/ui/StatusBadge';
import { looks } from '../model';
import classes from './Restores.module.css';

interface Props {
  label: string;
  value: { least: number; most: number; now: number; text: string };
  /** Where the line begins; it ends now. */
  from: number;
  /** Places are shares of the line, 0 to 1. */
  marks: readonly { backup: Backup; place: number }[];
  chosen?: string;
  pointer?: number;
  /** False where the key is none of its own. */
  onKey: (key: string, shift: boolean) => boolean;
  onPoint: (place: number) => void;
  /** What lies on the rail, under the marks. */
  children?: ReactNode;
}

/** Time on a line with the backups on it: a slider for keys, and for a finger. */
export function TimeLine({ label, value, from, marks, chosen, pointer, onKey, onPoint, children }: Props) {
  useNow(60_000);
  const clock = useClock();
  const now = serverNow();
  const keys = (event: KeyboardEvent) => {
    if (onKey(event.key, event.shiftKey)) event.preventDefault();
  };
  return (
    <div>
      <div
        className={classes.line}
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-valuemin={value.least}
        aria-valuemax={value.most}
        aria-valuenow={Math.min(value.most, Math.max(value.least, value.now))}
        aria-valuetext={value.text}
        onKeyDown={keys}
        onClick={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          onPoint((event.clientX - box.left) / box.width);
        }}
      >
        <span className={classes.rail} />
        {children}
        {marks.map(({ backup, place }) => (
          <span key={backup.id} className={classes.mark} style={{ left: share(place), zIndex: backup.id === chosen ? 2 : 1 }}>
            <StatusIcon {...looks(backup)} name={nameOf(backup, now, clock)} />
          </span>
        ))}
        {pointer === undefined ? null : <span className={classes.pointer} style={{ left: share(pointer) }} />}
      </div>
      <div className={classes.axis}>
        <span>{moment(from, now, clock)}</span>
        <span>now</span>
      </div>
    </div>
  );
}

const share = (place: number): CSSProperties['left'] => `${place * 100}%`;
