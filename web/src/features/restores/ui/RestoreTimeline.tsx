import type { KeyboardEvent, MouseEvent } from 'react';
import type { Backup } from '~/api/schema';
import { nameOf, restorable } from '~/features/backups';
import { useClock } from '~/shared/lib/clock';
import { serverNow, useNow } from '~/shared/lib/now';
import { moment } from '~/shared/lib/time';
import { StatusIcon } from '~/shared/ui/StatusBadge';
import { line, looks, neighbour, type Line } from '../model';
import classes from './Restores.module.css';

interface Props {
  backups: readonly Backup[];
  chosen?: Backup;
  onChoose: (b: Backup) => void;
}

/** The backups on a line that ends now. Arrows walk over those that can be restored; the list beside it does the same. */
export function RestoreTimeline({ backups, chosen, onChoose }: Props) {
  useNow(60_000);
  const clock = useClock();
  const now = serverNow();
  const drawn = line(backups, now);
  const able = backups.filter(restorable);
  const go = (to: Backup | undefined) => to && onChoose(to);
  const keys = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowDown: -1, PageUp: -1, ArrowRight: 1, ArrowUp: 1, PageDown: 1 }[event.key] as -1 | 1 | undefined;
    if (by) go(neighbour(backups, chosen?.id, by));
    else if (event.key === 'Home') go(able.toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at))[0]);
    else if (event.key === 'End') go(able.toSorted((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at))[0]);
    else return;
    event.preventDefault();
  };
  const order = able.toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
  return (
    <div>
      <div
        className={classes.line}
        role="slider"
        tabIndex={0}
        aria-label="Backup on the timeline"
        aria-valuemin={1}
        aria-valuemax={Math.max(1, order.length)}
        aria-valuenow={Math.max(1, order.findIndex((b) => b.id === chosen?.id) + 1)}
        aria-valuetext={chosen ? nameOf(chosen, now, clock) : 'None chosen'}
        onKeyDown={keys}
        onClick={(event) => go(nearest(event, drawn))}
      >
        <span className={classes.rail} />
        {drawn.gaps.map((gap) => (
          <span key={gap.from} data-testid="timeline-gap" className={classes.gap} title="No good backup in this time" style={between(drawn, gap.from, gap.to)} />
        ))}
        {drawn.marks.map(({ backup, place }) => (
          <span key={backup.id} className={classes.mark} style={{ left: `${place * 100}%`, zIndex: backup.id === chosen?.id ? 2 : 1 }}>
            <StatusIcon {...looks(backup)} name={nameOf(backup, now, clock)} />
          </span>
        ))}
        {chosen ? <span className={classes.pointer} style={{ left: `${(drawn.marks.find((m) => m.backup.id === chosen.id)?.place ?? 1) * 100}%` }} /> : null}
      </div>
      <div className={classes.axis}>
        <span>{moment(drawn.from, now, clock)}</span>
        <span>now</span>
      </div>
    </div>
  );
}

function between(drawn: Line, from: number, to: number) {
  const place = (at: number) => ((at - drawn.from) / (drawn.to - drawn.from)) * 100;
  return { left: `calc(${place(from)}% + 12px)`, width: `calc(${place(to) - place(from)}% - 24px)` };
}

function nearest(event: MouseEvent<HTMLElement>, drawn: Line): Backup | undefined {
  const box = event.currentTarget.getBoundingClientRect();
  const at = (event.clientX - box.left) / box.width;
  const able = drawn.marks.filter((m) => restorable(m.backup));
  return able.toSorted((a, b) => Math.abs(a.place - at) - Math.abs(b.place - at))[0]?.backup;
}
