import { useId } from 'react';
import { NumberInput } from '@mantine/core';
import { daysIn, type CopyFaults, type DaysOf } from '../model';
import classes from './CopyDays.module.css';

interface Props {
  /** The storages that are chosen. */
  places: readonly string[];
  days: DaysOf;
  onChange: (days: DaysOf) => void;
  faults: CopyFaults;
  /** What the server said of them. */
  refused?: string;
}

/** How long copies stay, by storage, where that is shorter than their backup. With one storage there is nothing to say. */
export function CopyDays({ places, days, onChange, faults, refused }: Props) {
  const id = useId();
  if (places.length < 2) return null;
  const said = faults.rule ?? refused;
  return (
    <div role="group" aria-labelledby={`${id}-name`} aria-describedby={said ? `${id}-hint ${id}-fault` : `${id}-hint`}>
      <div id={`${id}-name`} className={classes.name}>
        Copies for a shorter time
      </div>
      <p id={`${id}-hint`} className={classes.hint}>
        Empty: as long as the backup. In one storage at least copies stay that long.
      </p>
      <div className={classes.fields}>
        {places.map((s) => (
          <NumberInput
            key={s}
            label={`Keep copies in ${s} for`}
            placeholder="as long as the backup"
            suffix=" days"
            min={1}
            max={36_500}
            allowDecimal={false}
            value={daysIn(days, s)}
            onChange={(typed) => onChange({ ...days, [s]: typed })}
            error={Object.hasOwn(faults.of, s) ? faults.of[s] : undefined}
          />
        ))}
      </div>
      {said ? (
        <p id={`${id}-fault`} role="alert" className={classes.fault}>
          {said}
        </p>
      ) : null}
    </div>
  );
}
