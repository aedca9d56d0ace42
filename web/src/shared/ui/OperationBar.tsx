import { useEffect, useRef, type ReactNode } from 'react';
import { Group, Progress } from '@mantine/core';
import type { Operation } from '~/api/schema';
import { say } from '~/shared/lib/announce';
import { lookOf } from '~/shared/lib/statuses';
import { StatusIcon } from './StatusBadge';
import { Elapsed } from './Duration';
import classes from './OperationBar.module.css';

export const active = (o: Operation) => ['queued', 'running', 'unwinding', 'stuck'].includes(o.status);

/** Step 3 of 7, by the steps that are over. */
export function progress(o: Operation): string {
  const total = o.steps.length;
  if (total === 0 || !active(o)) return '';
  const over = o.steps.filter((s) => s.finished_at).length;
  return `step ${Math.min(over + 1, total)} of ${total}`;
}

/** The title of the step that is being done. */
export function currentStep(o: Operation): string {
  const step = o.steps.find((s) => s.name === o.step) ?? o.steps.find((s) => s.started_at && !s.finished_at);
  return step?.title ?? o.step ?? '';
}

function useAnnounced(o: Operation, title: string) {
  const told = useRef('');
  useEffect(() => {
    const quarter = active(o) ? Math.floor(o.percent / 25) * 25 : 100;
    const now = `${o.id} ${o.status} ${quarter}`;
    if (told.current === now) return;
    told.current = now;
    const word = lookOf('operation', o.status).word;
    say(active(o) ? `${title}: ${quarter} percent` : `${title}: ${word}`, o.status === 'failed' || o.status === 'stuck' ? 'assertive' : 'polite');
  }, [o, title]);
}

/** What is being done to the object of this page, in one line. */
export function OperationBar({ operation, title, actions }: { operation: Operation; title: string; actions?: ReactNode }) {
  const o = operation;
  useAnnounced(o, title);
  const tone = lookOf('operation', o.status).tone;
  const running = active(o);
  return (
    <section className={classes.bar} data-tone={tone} aria-label={`Operation: ${title}`} tabIndex={-1} id="operation-bar">
      <div className={classes.line}>
        <StatusIcon noun="operation" status={o.status} />
        <div className={classes.text}>
          <strong>{title}</strong>
          {running ? <span className={classes.step}> {[progress(o), o.sentence || currentStep(o)].filter(Boolean).join(': ')}</span> : null}
          {!running && o.error ? <span className={classes.error}> {o.error.message}</span> : null}
          {!running && !o.error ? <span className={classes.step}> {lookOf('operation', o.status).word.toLowerCase()}</span> : null}
        </div>
        <Group gap="sm" wrap="nowrap" className={classes.end}>
          {running && o.percent > 0 ? <span className={classes.number}>{o.percent} %</span> : null}
          <span className={classes.number}>
            <Elapsed from={o.created_at} to={o.finished_at} />
          </span>
          {actions}
        </Group>
      </div>
      {running && o.percent > 0 ? <Progress value={o.percent} size={3} radius={0} aria-label={`${title}, percent done`} className={classes.progress} /> : null}
    </section>
  );
}
