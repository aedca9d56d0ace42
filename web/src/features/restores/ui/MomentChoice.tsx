import { useState } from 'react';
import { Anchor, Group, TextInput } from '@mantine/core';
import type { Backup } from '~/api/schema';
import { useClock } from '~/shared/lib/clock';
import { serverNow, useNow } from '~/shared/lib/now';
import { exact, inputValue } from '~/shared/lib/time';
import { inWords, momentFault, twin, type Window } from '../moment';
import { MomentTimeline } from './MomentTimeline';
import classes from './Restores.module.css';

interface Props {
  window: Window;
  backups: readonly Backup[];
  at?: number;
  onChoose: (at: number) => void;
}

const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Any second of the window, typed or from the line. */
export function MomentChoice({ window: w, backups, at, onChoose }: Props) {
  useNow(60_000);
  const clock = useClock();
  const now = serverNow();
  // What stands in the field is kept as it was typed, until another moment comes from elsewhere: the address follows a
  // little later, a half-typed day is none, and the browser leaves out seconds that are zero.
  const [typed, setTyped] = useState<{ text: string; at?: number; before?: number }>();
  const mine = typed && (typed.at === undefined || at === typed.at || at === typed.before) ? typed : undefined;
  const other = at === undefined ? undefined : twin(at);
  const read = mine?.text ?? (at === undefined ? '' : inputValue(at));
  const fault = momentFault(w, mine && mine.at === undefined ? undefined : at, now, clock);
  return (
    <>
      <Group gap="sm" align="flex-end">
        <TextInput
          label={`Day and time, ${zone}`}
          type="datetime-local"
          step={1}
          value={read}
          min={inputValue(w.from)}
          max={inputValue(w.to)}
          onChange={(event) => {
            const text = event.currentTarget.value;
            const found = new Date(text).getTime();
            setTyped({ text, before: at, ...(Number.isNaN(found) ? {} : { at: found }) });
            if (!Number.isNaN(found)) onChoose(found);
          }}
          aria-describedby="moment-says"
          aria-invalid={fault !== undefined}
          w={240}
        />
        {at === undefined ? null : (
          <span className={classes.utc}>
            = {exact(at)}
            {other === undefined ? null : (
              <>
                {' '}
                (this hour comes twice:{' '}
                <Anchor component="button" type="button" size="sm" onClick={() => onChoose(other)}>
                  {exact(other).slice(11)}
                </Anchor>
                )
              </>
            )}
          </span>
        )}
      </Group>
      <MomentTimeline window={w} backups={backups} at={at} onChoose={(next) => {
        setTyped(undefined);
        onChoose(next);
      }} />
      <p id="moment-says" className={fault ? classes.fault : classes.window} role={fault ? 'alert' : undefined}>
        {fault ?? `Any second from ${inWords(w.from, now, clock)} to ${inWords(w.to, now, clock)}${w.gaps.length > 0 ? `, but for ${w.gaps.length === 1 ? 'a gap' : `${w.gaps.length} gaps`} in the log` : ''}.`}
      </p>
    </>
  );
}
