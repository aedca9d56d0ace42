import type { Backup } from '~/api/schema';
import { useClock } from '~/shared/lib/clock';
import { serverNow } from '~/shared/lib/now';
import { parse } from '~/shared/lib/time';
import { byKey, inWords, scaleOf, settled, type Window } from '../moment';
import { TimeLine } from './TimeLine';
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
  const clock = useClock();
  const now = serverNow();
  const scale = scaleOf(w, now);
  const keys = (key: string, shift: boolean) => {
    const next = byKey(key, shift, at, w, backups);
    if (next !== undefined) onChoose(next);
    return next !== undefined;
  };
  const marks = backups
    .filter((b) => b.status !== 'expired' && b.status !== 'deleting')
    .map((backup) => ({ backup, at: parse(backup.created_at) ?? 0 }))
    .filter((m) => m.at >= scale.from)
    .map((m) => ({ backup: m.backup, place: scale.place(m.at) }));
  return (
    <TimeLine
      label="Moment"
      value={{ least: w.from / 1000, most: w.to / 1000, now: at / 1000, text: inWords(at, now, clock) }}
      from={w.from}
      marks={marks}
      pointer={scale.place(at)}
      onKey={keys}
      onPoint={(place) => onChoose(settled(w, scale.from + place * (scale.to - scale.from)))}
    >
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
    </TimeLine>
  );
}
