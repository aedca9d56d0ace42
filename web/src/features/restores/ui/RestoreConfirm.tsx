import { useState } from 'react';
import { Button, Group, Stack, TextInput } from '@mantine/core';
import { useConnection } from '~/api/connection';
import type { Backup, RestorePlan } from '~/api/schema';
import { nameOf } from '~/features/backups';
import { useClock } from '~/shared/lib/clock';
import { useNow, serverNow } from '~/shared/lib/now';
import { bytes } from '~/shared/lib/bytes';
import { duration, exact, parse } from '~/shared/lib/time';
import { ActError } from '~/shared/ui/ErrorCard';
import { Sentence } from '~/shared/ui/Sentence';
import { RowsSkeleton } from '~/shared/ui/Skeletons';
import { Time } from '~/shared/ui/Time';
import type { Where } from '../model';
import { inWords } from '../moment';
import confirm from '~/shared/ui/ConfirmDialog.module.css';
import { asSentence } from '~/shared/lib/localTimes';
import classes from './Restores.module.css';

interface Props {
  plan?: RestorePlan;
  /** The backup that the plan begins with. */
  backup?: Backup;
  error: unknown;
  waiting: boolean;
  /** The cluster whose data is replaced; its name is typed. */
  target?: string;
  where: Where;
  sent: { isPending: boolean; error: unknown };
  onClose: () => void;
  onRestore: () => void;
}

const actions: Record<Where, string> = { new: 'Restore to a new cluster', this: 'Restore this cluster', other: 'Clear and restore' };

/** The plan as the server made it, and the button that runs exactly it. */
export function RestoreConfirm({ plan, backup, error, waiting, target, where, sent, onClose, onRestore }: Props) {
  const [typed, setTyped] = useState('');
  const { link } = useConnection();
  const ready = plan !== undefined && !waiting && link !== 'offline' && (target === undefined || typed.trim() === target);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready && !sent.isPending) onRestore();
      }}
    >
      <Stack gap="md">
        <section aria-label="Plan" aria-live="polite" className={classes.plan}>
          <h3 className={classes.legend}>
            <span className={classes.number}>3</span>Plan
          </h3>
          {plan ? <PlanOf plan={plan} backup={backup} /> : error ? <ActError error={error} /> : waiting ? <RowsSkeleton rows={3} height={20} /> : <Sentence tone="idle">Choose where it goes to see what would happen.</Sentence>}
        </section>
        {target && plan ? (
          <TextInput
            label={
              <>
                Type <strong>{target}</strong> to confirm
              </>
            }
            value={typed}
            onChange={(e) => setTyped(e.currentTarget.value)}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            maw={360}
          />
        ) : null}
        <ActError error={sent.error} />
        <Group justify="flex-end" gap="sm" className={confirm['buttons']}>
          <Button variant="default" onClick={onClose} disabled={sent.isPending}>
            Cancel
          </Button>
          <Button type="submit" color={target ? 'danger' : undefined} disabled={!ready} loading={sent.isPending}>
            {actions[where]}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function PlanOf({ plan, backup }: { plan: RestorePlan; backup?: Backup }) {
  useNow(60_000);
  const clock = useClock();
  const point = parse(plan.recovery_point);
  const until = parse(plan.until);
  const old = point === undefined ? undefined : duration(Math.max(0, Math.floor((serverNow() - point) / 60_000) * 60));
  return (
    <Stack gap="sm">
      <p style={{ margin: 0 }}>
        {until === undefined ? (
          <>
            {plan.target} gets the data of <Time at={plan.recovery_point} />
            {old && old !== '0 s' ? `, ${old} old` : ''}, read from {plan.storage}.
          </>
        ) : (
          <>
            {plan.target} gets the data as it was at {inWords(until, serverNow(), clock)} ({exact(until)}){old && old !== '0 s' ? `, ${old} old` : ''}: the backup {backup ? nameOf(backup, serverNow(), clock) : plan.backup} from{' '}
            {plan.storage}, and the log after it.
          </>
        )}{' '}
        It needs {bytes(plan.space_needed_bytes)} of space. Today’s credentials are kept.
      </p>
      {plan.loses.length > 0 ? (
        <Sentence tone="bad" banner>
          <strong>What is lost</strong>
          <ul className={classes.lost}>
            {plan.loses.map((text) => (
              <li key={text}>{asSentence(text)}</li>
            ))}
          </ul>
        </Sentence>
      ) : (
        <Sentence tone="good">Nothing is lost: no other cluster is touched.</Sentence>
      )}
      {plan.warnings.map((text) => (
        <Sentence key={text} tone="warn">
          {asSentence(text)}
        </Sentence>
      ))}
      <details open={plan.steps.length <= 9}>
        <summary>Steps ({plan.steps.length})</summary>
        <ol className={classes.lost}>
          {plan.steps.map((step, n) => (
            // A plan may wait for the same thing twice.
            // oxlint-disable-next-line react/no-array-index-key
            <li key={n}>{step}</li>
          ))}
        </ol>
      </details>
    </Stack>
  );
}
