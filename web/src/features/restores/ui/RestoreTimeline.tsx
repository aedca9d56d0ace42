import type { Backup } from '~/api/schema';
import { nameOf, restorable } from '~/features/backups';
import { useClock } from '~/shared/lib/clock';
import { serverNow } from '~/shared/lib/now';
import { line, neighbour, type Line } from '../model';
import { TimeLine } from './TimeLine';
import classes from './Restores.module.css';

interface Props {
  backups: readonly Backup[];
  chosen?: Backup;
  onChoose: (b: Backup) => void;
}

const steps: Record<string, -1 | 1> = { ArrowLeft: -1, ArrowDown: -1, PageUp: -1, ArrowRight: 1, ArrowUp: 1, PageDown: 1 };

/** The backups on a line that ends now. Arrows walk over those that can be restored; the list beside it does the same. */
export function RestoreTimeline({ backups, chosen, onChoose }: Props) {
  const clock = useClock();
  const now = serverNow();
  const drawn = line(backups, now);
  const able = drawn.marks.filter((m) => restorable(m.backup));
  const go = (to: Backup | undefined) => to && onChoose(to);
  const keys = (key: string) => {
    const by = Object.hasOwn(steps, key) ? steps[key] : undefined;
    if (by) go(neighbour(backups, chosen?.id, by));
    else if (key === 'Home') go(able[0]?.backup);
    else if (key === 'End') go(able.at(-1)?.backup);
    else return false;
    return true;
  };
  return (
    <TimeLine
      label="Backup on the timeline"
      value={{ least: 1, most: Math.max(1, able.length), now: able.findIndex((m) => m.backup.id === chosen?.id) + 1, text: chosen ? nameOf(chosen, now, clock) : 'None chosen' }}
      from={drawn.from}
      marks={drawn.marks}
      chosen={chosen?.id}
      pointer={chosen ? (drawn.marks.find((m) => m.backup.id === chosen.id)?.place ?? 1) : undefined}
      onKey={keys}
      onPoint={(at) => go(able.toSorted((a, b) => Math.abs(a.place - at) - Math.abs(b.place - at))[0]?.backup)}
    >
      {drawn.gaps.map((gap) => (
        <span key={gap.from} data-testid="timeline-gap" className={classes.gap} title="No good backup in this time" style={between(drawn, gap.from, gap.to)} />
      ))}
    </TimeLine>
  );
}

function between(drawn: Line, from: number, to: number) {
  const place = (at: number) => ((at - drawn.from) / (drawn.to - drawn.from)) * 100;
  return { left: `calc(${place(from)}% + 12px)`, width: `calc(${place(to) - place(from)}% - 24px)` };
}
