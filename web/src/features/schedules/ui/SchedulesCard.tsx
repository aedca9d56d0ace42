import { useState } from 'react';
import { Button, Card, Group, Text } from '@mantine/core';
import { IconCircleCheck, IconPlayerPause, IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { Group as Grouped, Schedule } from '~/api/schema';
import { useMay } from '~/shared/lib/role';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { RowMenu, type MenuItem } from '~/shared/ui/DataTable';
import { Loaded } from '~/shared/ui/Loaded';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Badge } from '~/shared/ui/StatusBadge';
import { Time } from '~/shared/ui/Time';
import { retentionText, whenOf, whenText, whereText, type Of } from '../model';
import { schedulesOf, usePause, useRemoveSchedule } from '../queries';
import { ScheduleDialog } from './ScheduleDialog';
import { WeekGrid } from './WeekGrid';
import classes from './Schedules.module.css';

interface Props {
  project: string;
  /** The open dialog: a name, or `+` for a new one. It is in the address. */
  opened?: string;
  onOpen: (name: string | undefined) => void;
}

/** When backups of a cluster are made by themselves. */
export function SchedulesCard({ cluster, ...props }: Props & { cluster: string }) {
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="Schedules">
      <Schedules of={{ kind: 'clusters', id: cluster, name: cluster }} {...props} />
    </Card>
  );
}

/** When a group is backed up by itself, inside its card. */
export function GroupSchedules({ group, ...props }: Props & { group: Grouped }) {
  return (
    <section aria-label={`Schedules of ${group.name}`}>
      <Schedules of={{ kind: 'groups', id: group.id, name: group.name }} {...props} />
    </section>
  );
}

function Schedules({ project, of, opened, onOpen }: Props & { of: Of }) {
  const query = useQuery(schedulesOf(project, of));
  const [removing, setRemoving] = useState<Schedule>();
  const grouped = of.kind === 'groups';
  const Title = grouped ? 'h3' : 'h2';
  return (
    <>
      <div className={classes.head}>
        <Title className={classes.title}>Schedules</Title>
        <ActButton needs="admin" variant="default" leftSection={<IconPlus size={16} stroke={1.75} />} onClick={() => onOpen('+')} aria-label={grouped ? `Add schedule, ${of.name}` : undefined}>
          Add schedule
        </ActButton>
      </div>
      <Loaded query={query} things="the schedules">
        {({ items }) => (
          <>
            {items.length === 0 ? <Sentence tone={grouped ? 'idle' : 'warn'}>No schedule: {grouped ? 'the group is backed up' : 'backups are made'} by hand alone.</Sentence> : null}
            <ul className={classes.list}>
              {items.map((s) => (
                <Row key={s.id} project={project} schedule={s} name={grouped ? `the schedule ${s.name} of ${of.name}` : `the schedule ${s.name}`} onEdit={() => onOpen(s.name)} onRemove={() => setRemoving(s)} />
              ))}
            </ul>
            <Week items={items} of={of} />
            {opened ? <ScheduleDialog key={opened} project={project} of={of} all={items} schedule={items.find((s) => s.name === opened)} onClose={() => onOpen(undefined)} /> : null}
          </>
        )}
      </Loaded>
      {removing ? <RemoveDialog project={project} of={of} schedule={removing} onClose={() => setRemoving(undefined)} /> : null}
    </>
  );
}

function Week({ items, of }: { items: readonly Schedule[]; of: Of }) {
  const on = items.filter((s) => s.enabled);
  const zones = [...new Set(on.map((s) => s.time_zone))];
  const runs = on.flatMap((s) => s.next_runs).toSorted().slice(0, 3);
  if (on.length === 0) return null;
  return (
    <>
      <WeekGrid schedules={on.map((s) => ({ name: s.name, when: whenOf(s) }))} label={of.kind === 'groups' ? `When ${of.name} is backed up, by day and hour` : 'When backups are made, by day and hour'} />
      <Text size="xs" c="dimmed" mt={4}>
        {zones.length === 1 ? `Hours of ${zones[0]}.` : `Each schedule in its own zone: ${zones.join(', ')}.`} Next:{' '}
        {runs.map((at, n) => (
          <span key={at}>
            {n > 0 ? ' · ' : ''}
            <Time at={at} />
          </span>
        ))}{' '}
        (your time)
      </Text>
    </>
  );
}

function Row({ project, schedule: s, name, onEdit, onRemove }: { project: string; schedule: Schedule; name: string; onEdit: () => void; onRemove: () => void }) {
  const admin = useMay('admin');
  const pause = usePause(project);
  const missed = s.last_runs.find((r) => r.status !== 'started');
  const items: MenuItem[] = [
    { label: 'Edit…', onClick: onEdit },
    { label: 'Remove…', danger: true, divided: true, onClick: onRemove },
  ];
  return (
    <li className={classes.row}>
      <span className={classes.name}>{s.name}</span>
      <Badge look={s.enabled ? { word: 'On', tone: 'good', icon: IconCircleCheck } : { word: 'Paused', tone: 'idle', icon: IconPlayerPause }} />
      <span className={classes.what}>
        {whenText(whenOf(s))} {s.time_zone} · {retentionText(s.retention)} · {whereText(s)}
        {s.waiting ? <Sentence tone="warn">{s.waiting}</Sentence> : null}
        {missed?.reason ? (
          <Sentence tone="warn">
            The run of <Time at={missed.at} /> was {missed.status === 'missed' ? 'missed' : 'left out'}: {missed.reason}
          </Sentence>
        ) : null}
        {pause.error ? <Sentence tone="bad">{pause.error.message}</Sentence> : null}
      </span>
      {s.next_runs[0] ? (
        <span className={classes.next}>
          next <Time at={s.next_runs[0]} /> (<Time at={s.next_runs[0]} as="age" />)
        </span>
      ) : null}
      {admin ? (
        <Group gap={4} wrap="nowrap">
          <Button variant="default" size="compact-sm" loading={pause.isPending} aria-label={`${s.enabled ? 'Pause' : 'Resume'}, ${name}`} onClick={() => pause.mutate({ id: s.id, verb: s.enabled ? 'pause' : 'resume' })}>
            {s.enabled ? 'Pause' : 'Resume'}
          </Button>
          <RowMenu name={name} items={() => items} />
        </Group>
      ) : null}
    </li>
  );
}

function RemoveDialog({ project, of, schedule, onClose }: { project: string; of: Of; schedule: Schedule; onClose: () => void }) {
  const remove = useRemoveSchedule(project);
  return (
    <ConfirmDialog opened onClose={onClose} title={`Remove the schedule ${schedule.name}`} action="Remove schedule" danger busy={remove.isPending} error={remove.error} onConfirm={() => remove.mutate(schedule.id, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>
        No more backups of {of.kind === 'groups' ? `the group ${of.name}` : of.name} are made by it. Those it made stay as long as it said when they were made.
      </p>
    </ConfirmDialog>
  );
}
