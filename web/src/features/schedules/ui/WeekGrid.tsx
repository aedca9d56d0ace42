import { UnstyledButton } from '@mantine/core';
import type { Weekday } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import { dayShort, grid, hourText, weekdays, type When } from '../model';
import classes from './Schedules.module.css';

interface Props {
  schedules: readonly { name: string; when: When }[];
  label: string;
  /** With these the heads are toggles. */
  onDay?: (day: Weekday) => void;
  onHour?: (hour: number) => void;
}

const hours = Array.from({ length: 24 }, (_, n) => n);

/** The week by hours; a filled cell runs, its number says how many meet. The words beside it say the same. */
export function WeekGrid({ schedules, label, onDay, onHour }: Props) {
  const cells = grid(schedules);
  const [only] = schedules;
  return (
    <div className={`${classes.scroll} ${classes.wide}`} role="region" aria-label={label} tabIndex={0}>
      <table className={classes.grid}>
        <caption className="ms-visually-hidden">{label}</caption>
        <thead>
          <tr>
            <th scope="col"><span className="ms-visually-hidden">Day</span></th>
            {hours.map((hour) => (
              <th key={hour} scope="col">
                {onHour ? (
                  <UnstyledButton className={classes.headButton} ta="center" aria-label={hourText(hour)} aria-pressed={only?.when.hours.includes(hour)} onClick={() => onHour(hour)}>
                    {String(hour).padStart(2, '0')}
                  </UnstyledButton>
                ) : (
                  String(hour).padStart(2, '0')
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {weekdays.map((day, row) => (
            <tr key={day}>
              <th scope="row">
                {onDay ? (
                  <UnstyledButton className={classes.headButton} aria-pressed={only?.when.days.includes(day)} onClick={() => onDay(day)}>
                    {dayShort(day)}
                  </UnstyledButton>
                ) : (
                  dayShort(day)
                )}
              </th>
              {hours.map((hour) => {
                const names = cells[row]?.[hour] ?? [];
                return (
                  <td key={hour}>
                    <span className={classes.cell} data-runs={names.length || undefined} title={names.length > 0 ? `${dayShort(day)} ${hourText(hour)}: ${names.join(', ')}` : undefined}>
                      {names.length > 1 ? names.length : null}
                      {names.length > 0 ? <span className="ms-visually-hidden">{count(names.length, 'backup')}</span> : null}
                    </span>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
