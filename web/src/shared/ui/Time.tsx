import { useState } from 'react';
import { Tooltip } from '@mantine/core';
import { serverNow, useNow } from '~/shared/lib/now';
import { usePreference } from '~/shared/lib/preferences';
import { age, exact, moment, parse, wall } from '~/shared/lib/time';

interface Props {
  at: string | number | null | undefined;
  /** `moment`: 03:14 today. `age`: 4 min ago. `wall`: 14:02. `seconds`: 14:02:11. */
  as?: 'moment' | 'age' | 'wall' | 'seconds';
  /** Where there is none: why. */
  none?: string;
}

/** A moment in the reader's zone; from near, in UTC and as an age. */
export function Time({ at, as = 'moment', none = 'Not known' }: Props) {
  const then = typeof at === 'number' ? at : parse(at);
  const fresh = then !== undefined && Math.abs(serverNow() - then) < 120_000;
  useNow(as === 'age' && fresh ? 1000 : 60_000);
  const hour12 = usePreference('hour12');
  const [near, setNear] = useState(false);
  if (then === undefined) return <Unknown why={none} />;
  const now = serverNow();
  const clock = { hour12 };
  const text =
    as === 'age' ? age(then, now, clock) : as === 'moment' ? moment(then, now, clock) : wall(then, clock, as === 'seconds');
  // A list has a thousand of them: what is shown from near is made when somebody comes near. The element stays the
  // same one then: a click that begins on one and ends on another is none.
  return (
    <Tooltip label={near ? `${exact(then)} · ${age(then, now, clock)}` : ''}>
      <time dateTime={new Date(then).toISOString()} style={{ whiteSpace: 'nowrap' }} onPointerEnter={near ? undefined : () => setNear(true)}>
        {text}
      </time>
    </Tooltip>
  );
}

/** What is not known is a dash with its reason, never a zero. */
export function Unknown({ why }: { why: string }) {
  return (
    <Tooltip label={why}>
      <span style={{ color: 'var(--ms-dim)' }}>
        <span aria-hidden>–</span>
        <span className="ms-visually-hidden">{why}</span>
      </span>
    </Tooltip>
  );
}
