import { Button, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Backup, Cluster } from '~/api/schema';
import { useClock } from '~/shared/lib/clock';
import { serverNow, useNow } from '~/shared/lib/now';
import { moment, parse } from '~/shared/lib/time';
import { lookOf } from '~/shared/lib/statuses';
import { CopyButton } from '~/shared/ui/CopyField';
import { LinkButton } from '~/shared/ui/LinkButton';
import { RoleGate } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { StatusIcon } from '~/shared/ui/StatusBadge';
import { Time } from '~/shared/ui/Time';
import { recoverabilityOf } from '../model';
import { clusterBackupsQuery, schedulesQuery } from '../queries';
import { useDialog } from './dialogContext';
import { Section } from './Section';
import classes from './Overview.module.css';

const DAYS = 7;
const WEEK = DAYS * 86_400_000;

/** Can I get it back, and to when? */
export function RecoverabilityCard({ project, cluster }: { project: string; cluster: Cluster }) {
  const clock = useClock();
  useNow(60_000);
  const open = useDialog();
  const { tone, text, way } = recoverabilityOf(cluster, serverNow(), clock);
  const { data: backups } = useQuery(clusterBackupsQuery(project, cluster.name));
  const { data: schedules } = useQuery(schedulesQuery(project, cluster.name));
  const next = schedules?.items
    .filter((s) => s.enabled)
    .flatMap((s) => s.next_runs.slice(0, 1))
    .toSorted()[0];
  return (
    <Section title="Can I get it back?" order={1}>
      <Stack gap="sm">
        <Sentence tone={tone} large>
          {text}
          {way === 'back_up' && next ? (
            <>
              {' '}
              The first one runs at <Time at={next} />.
            </>
          ) : null}
        </Sentence>
        {backups && backups.items.length > 0 ? <Week backups={backups.items} /> : null}
        {cluster.recoverability.three_two_one ? (
          <Text size="sm" c="dimmed">
            {cluster.recoverability.three_two_one}
          </Text>
        ) : null}
        <Group gap="sm">
          <CopyButton value={cluster.recoverability.sentence} what="the sentence" />
          <RoleGate needs="operator">
            {cluster.recoverability.to && cluster.status !== 'deleted' ? <LinkButton to={`/p/${project}/clusters/${cluster.name}/backups?restore=newest`}>Restore…</LinkButton> : null}
            {way === 'back_up' ? (
              <Button variant="default" onClick={() => open({ what: 'backup' })}>
                Back up now
              </Button>
            ) : null}
          </RoleGate>
          <Text size="sm" c="dimmed">
            {next ? (
              <>
                Next backup: <Time at={next} />
              </>
            ) : schedules ? (
              'No schedule is on: backups are made by hand alone.'
            ) : (
              ''
            )}
          </Text>
        </Group>
      </Stack>
    </Section>
  );
}

function name(b: Backup, at: string): string {
  const proof = b.status === 'completed' ? `, ${lookOf('proof', b.proof).word.toLowerCase()}` : '';
  return `${at}: ${lookOf('backup', b.status).word.toLowerCase()}${proof}`;
}

/** The backups of the last seven days on a line; what they are is in their names. */
function Week({ backups }: { backups: readonly Backup[] }) {
  const clock = useClock();
  const now = serverNow();
  const shown = backups.filter((b) => now - (parse(b.created_at) ?? 0) < WEEK);
  return (
    <div>
      <ul className={classes.strip} aria-label={`Backups of the last ${DAYS} days`} style={{ listStyle: 'none', padding: 0 }}>
        <li className={classes.rail} aria-hidden />
        {shown.map((b) => {
          const at = parse(b.created_at) ?? now;
          const drilled = b.status === 'completed' && (b.proof === 'drilled' || b.proof === 'suspicious');
          return (
            <li key={b.id} className={classes.point} style={{ left: `${100 - ((now - at) / WEEK) * 100}%` }}>
              <StatusIcon noun={drilled ? 'proof' : 'backup'} status={drilled ? b.proof : b.status} name={name(b, moment(at, now, clock))} />
            </li>
          );
        })}
      </ul>
      <div className={classes.axis} aria-hidden>
        <span>7 days ago</span>
        <span>now</span>
      </div>
    </div>
  );
}
