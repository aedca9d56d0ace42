import type { KeyboardEvent, MouseEvent } from 'react';
import type { Backup } from '~/api/schema';
import { nameOf } from '~/features/backups';
import { useClock } from '~/shared/lib/clock';
import { serverNow, useNow } from '~/shared/lib/now';
import { moment, parse } from '~/shared/lib/time';
import { StatusIcon } from '~/shared/ui/StatusBadge';
import { byKey, inWords, scaleOf, settled, type Scale, type Window } from '../moment';
import { looks } from '../model';
import classes from './Restores.module.css';

interface Props {
  window: Window;
  backups: readonly Backup[];
  at?: number;
  onChoose: (at: number) => void;
}

const percent = (part: number) => `${part * 100}%`;

/** The window on a line, its gaps hatched. Arrows go by the minute, with Shift by the hour, pages from backup to backup. */
export function MomentTimeline({ window: w, backups, at = w.to, onChoose }: Props) {
  useNow(60_000);
  const clock = useClock();
  const now = serverNow();
  const scale = scaleOf(w, now);
  const keys = (event: KeyboardEvent) => {
    const next = byKey(event.key, event.shiftKey, at, w, backups);
    if (next === undefined) return;
    event.preventDefault();
    onChoose(next);
  };
  const marks = backups.filter((b) => b.status !== 'expired' && b.status !== 'deleting' && (parse(b.created_at) ?? 0) >= scale.from);
  return (
    <div>
      <div
        className={classes.line}
        role="slider"
        tabIndex={0}
        aria-label="Moment"
        aria-valuemin={w.from / 1000}
        aria-valuemax={w.to / 1000}
        aria-valuenow={Math.min(w.to, Math.max(w.from, at)) / 1000}
        aria-valuetext={inWords(at, now, clock)}
        onKeyDown={keys}
        onClick={(event) => onChoose(settled(w, underPointer(event, scale)))}
      >
        <span className={classes.rail} />
        <span className={classes.reach} style={{ left: percent(scale.place(w.from)), right: percent(1 - scale.place(w.to)) }} />
        {w.gaps.map((gap) => (
          <span
            key={gap.from}
            data-testid="timeline-gap"
            className={classes.hole}
            title={`No log from ${inWords(gap.from, now, clock)} to ${inWords(gap.to, now, clock)}`}
            style={{ left: percent(scale.place(gap.from)), right: percent(1 - scale.place(gap.to)) }}
          />
        ))}
        {marks.map((b) => (
          <span key={b.id} className={classes.mark} style={{ left: percent(scale.place(parse(b.created_at) ?? 0)) }}>
            <StatusIcon {...looks(b)} name={nameOf(b, now, clock)} />
          </span>
        ))}
        <span className={classes.pointer} style={{ left: percent(scale.place(at)) }} />
      </div>
      <div className={classes.axis}>
        <span>{moment(w.from, now, clock)}</span>
        <span>now</span>
      </div>
    </div>
  );
}

function underPointer(event: MouseEvent<HTMLElement>, scale: Scale): number {
  const box = event.currentTarget.getBoundingClientRect();
  return scale.from + ((event.clientX - box.left) / box.width) * (scale.to - scale.from);
}
