import { useState } from 'react';
import { Group, Stack, Text, UnstyledButton } from '@mantine/core';
import { IconActivity, IconLoader2 } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { Operation } from '~/api/schema';
import { OperationSteps, recentOperationsQuery, title, tray } from '~/features/operations';
import { count } from '~/shared/lib/bytes';
import { serverNow, useNow } from '~/shared/lib/now';
import { Drawer } from '~/shared/ui/Drawer';
import { Elapsed } from '~/shared/ui/Duration';
import { active, currentStep, progress } from '~/shared/ui/OperationBar';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import classes from './OperationsTray.module.css';

/** What runs in this project, from every page. */
export function OperationsTray({ project }: { project: string }) {
  const [opened, setOpened] = useState(false);
  const { data } = useQuery(recentOperationsQuery(project));
  useNow(60_000);
  const { running, ended } = tray(data?.items ?? [], serverNow());
  const stuck = running.filter((o) => o.status === 'stuck').length;
  const label = running.length === 0 ? 'Operations: nothing is running' : `Operations: ${count(running.length, 'operation')} running${stuck ? `, ${stuck} stuck` : ''}`;
  const Icon = running.length > stuck ? IconLoader2 : IconActivity;
  return (
    <>
      <UnstyledButton className={classes.button} aria-label={label} onClick={() => setOpened(true)} data-busy={running.length > stuck || undefined}>
        {running.length > 0 ? <span>{running.length}</span> : null}
        <Icon size={20} stroke={1.75} aria-hidden className={classes.icon} />
      </UnstyledButton>
      <Drawer opened={opened} onClose={() => setOpened(false)} title="Operations">
        <Stack gap="lg">
          <List project={project} items={running} title="Running" empty="Nothing is running." />
          {ended.length > 0 ? <List project={project} items={ended} title="Ended in the last hour" empty="" /> : null}
        </Stack>
      </Drawer>
    </>
  );
}

function List({ project, items, title: head, empty }: { project: string; items: readonly Operation[]; title: string; empty: string }) {
  return (
    <section>
      <h3 className={classes.head}>{head}</h3>
      {items.length === 0 ? <Text c="dimmed">{empty}</Text> : null}
      {items.map((o) => (
        <Row key={o.id} project={project} operation={o} />
      ))}
    </section>
  );
}

function Row({ project, operation: o }: { project: string; operation: Operation }) {
  const [opened, setOpened] = useState(o.status === 'stuck');
  return (
    <div className={classes.row}>
      <UnstyledButton className={classes.toggle} aria-expanded={opened} onClick={() => setOpened(!opened)}>
        <Group justify="space-between" wrap="nowrap" gap="sm">
          <Text fw={500}>{title(o)}</Text>
          <StatusBadge noun="operation" status={o.status} />
        </Group>
        <Text size="sm" c="dimmed">
          {active(o) ? `${progress(o)}: ${o.sentence || currentStep(o)}${o.percent > 0 ? `, ${o.percent} %` : ''}, ` : ''}
          <Elapsed from={o.created_at} to={o.finished_at} />
        </Text>
      </UnstyledButton>
      {opened ? (
        <div className={classes.steps}>
          <OperationSteps project={project} operation={o} />
        </div>
      ) : null}
    </div>
  );
}
