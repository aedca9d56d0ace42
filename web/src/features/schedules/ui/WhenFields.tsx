import { UnstyledButton } from '@mantine/core';
import { dayShort, flippedDays, flippedHours, hourText, toggledDay, toggledHour, weekdays, type Draft } from '../model';
import classes from './Schedules.module.css';

interface Props {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
  faults: { days?: string; hours?: string };
}

const hours = Array.from({ length: 24 }, (_, n) => n);

/** Seven toggles for the days and twenty-four for the hours. */
export function WhenFields({ draft, change, faults }: Props) {
  return (
    <>
      <div role="group" aria-label="Days">
        <div className={classes.legend}>
          Days
          <button type="button" className={classes.every} aria-pressed={draft.days.length === 7} onClick={() => change(flippedDays(draft))}>
            Every day
          </button>
        </div>
        <div className={classes.toggles}>
          {weekdays.map((day) => (
            <UnstyledButton key={day} className={classes.toggle} aria-pressed={draft.days.includes(day)} onClick={() => change(toggledDay(draft, day))}>
              {dayShort(day)}
            </UnstyledButton>
          ))}
        </div>
        {faults.days ? <p className={classes.fault}>{faults.days}</p> : null}
      </div>
      <div role="group" aria-label="Hours">
        <div className={classes.legend}>
          Hours
          <button type="button" className={classes.every} aria-pressed={draft.hours.length === 24} onClick={() => change(flippedHours(draft))}>
            Every hour
          </button>
        </div>
        <div className={classes.hours}>
          {hours.map((hour) => (
            <UnstyledButton key={hour} className={classes.toggle} aria-label={hourText(hour)} aria-pressed={draft.hours.includes(hour)} onClick={() => change(toggledHour(draft, hour))}>
              {String(hour).padStart(2, '0')}
            </UnstyledButton>
          ))}
        </div>
        {faults.hours ? <p className={classes.fault}>{faults.hours}</p> : null}
      </div>
    </>
  );
}
