import { IconCircle, IconCircleCheck, IconCircleX, IconArrowBackUp, IconLoader2, IconBan } from '@tabler/icons-react';
import type { Step } from '~/api/schema';
import { Elapsed } from './Duration';
import classes from './StepList.module.css';

const looks: Record<string, { icon: typeof IconCircle; word: string; tone: string }> = {
  pending: { icon: IconCircle, word: 'Not yet', tone: 'idle' },
  running: { icon: IconLoader2, word: 'Running', tone: 'busy' },
  done: { icon: IconCircleCheck, word: 'Done', tone: 'good' },
  succeeded: { icon: IconCircleCheck, word: 'Done', tone: 'good' },
  failed: { icon: IconCircleX, word: 'Failed', tone: 'bad' },
  undone: { icon: IconArrowBackUp, word: 'Undone', tone: 'idle' },
  undoing: { icon: IconArrowBackUp, word: 'Being undone', tone: 'busy' },
  skipped: { icon: IconBan, word: 'Skipped', tone: 'warn' },
};

/** What was done, what is being done, what is to come. */
export function StepList({ steps }: { steps: readonly Step[] }) {
  return (
    <ol className={classes.steps}>
      {steps.map((step) => {
        const look = looks[step.status] ?? { icon: IconCircle, word: step.status, tone: 'idle' };
        const Icon = look.icon;
        return (
          <li key={step.name} className={classes.step} data-tone={look.tone}>
            <Icon size={16} stroke={1.75} aria-hidden className={classes.icon} />
            <span className="ms-visually-hidden">{look.word}: </span>
            <span className={classes.title}>
              {step.title || step.name}
              {step.error ? <span className={classes.error}>{step.error}</span> : null}
            </span>
            {step.started_at ? (
              <span className={classes.took}>
                <Elapsed from={step.started_at} to={step.finished_at} />
              </span>
            ) : null}
          </li>
        );
      })}
    </ol>
  );
}

/** The same before anything runs. */
export function PlannedSteps({ steps }: { steps: readonly { title: string; point_of_no_return?: boolean }[] }) {
  return (
    <ol className={classes.planned}>
      {steps.map((step) => (
        <li key={step.title}>
          {step.title}
          {step.point_of_no_return ? <span className={classes.point}> (from here on it cannot be cancelled)</span> : null}
        </li>
      ))}
    </ol>
  );
}
