import { useState } from 'react';
import { Button, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import type { Alert } from '~/api/schema';
import { actorName } from '~/shared/lib/actor';
import { asSentence } from '~/shared/lib/localTimes';
import { useTitle } from '~/shared/lib/title';
import { ActError } from '~/shared/ui/ErrorCard';
import { Loaded } from '~/shared/ui/Loaded';
import { PageHead } from '~/shared/ui/PageHead';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Badge } from '~/shared/ui/StatusBadge';
import { Time } from '~/shared/ui/Time';
import { alertKind, alertLook } from '../model';
import { alertsQuery, useAcknowledge } from '../queries';
import { Notifiers } from './Notifiers';
import classes from './Alerts.module.css';

/** What is wrong now, and who is told? */
export function AlertsPage() {
  const { project } = useParams({ from: '/shell/p/$project/alerts' });
  useTitle('Alerts', project);
  const query = useQuery(alertsQuery(project));
  const [past, setPast] = useState(false);
  return (
    <>
      <PageHead title="Alerts" />
      <Stack gap="md">
        <Loaded query={query} things="the alerts">
          {({ items }) => {
            const open = items.filter((a) => a.state !== 'cleared');
            return open.length === 0 ? (
              <Sentence tone="good" large>
                Nothing is wrong that Mainstay knows of.
              </Sentence>
            ) : (
              <List project={project} alerts={open} label="Alerts that hold" />
            );
          }}
        </Loaded>
        {past ? (
          <Cleared project={project} />
        ) : (
          <Button variant="default" onClick={() => setPast(true)} style={{ alignSelf: 'flex-start' }}>
            Show cleared ones
          </Button>
        )}
        <Notifiers project={project} />
      </Stack>
    </>
  );
}

function Cleared({ project }: { project: string }) {
  const query = useQuery(alertsQuery(project, 'cleared'));
  return (
    <section aria-label="Cleared alerts">
      <h2 className={classes.section}>Cleared</h2>
      <Loaded query={query} things="the cleared alerts">
        {({ items }) => (items.length === 0 ? <Sentence tone="idle">None yet.</Sentence> : <List project={project} alerts={items} label="Cleared alerts" />)}
      </Loaded>
    </section>
  );
}

function List({ project, alerts, label }: { project: string; alerts: readonly Alert[]; label: string }) {
  return (
    <ul className={classes.list} aria-label={label}>
      {alerts.map((a) => (
        <Row key={a.id} project={project} alert={a} />
      ))}
    </ul>
  );
}

function About({ project, alert: a }: { project: string; alert: Alert }) {
  if (a.cluster) {
    return (
      <Link to="/p/$project/clusters/$cluster" params={{ project, cluster: a.cluster }}>
        {a.cluster}
      </Link>
    );
  }
  if (a.object_kind === 'storage') {
    return (
      <Link to="/p/$project/storages" params={{ project }}>
        {a.object_name}
      </Link>
    );
  }
  return <>{a.object_name}</>;
}

function Row({ project, alert: a }: { project: string; alert: Alert }) {
  const seen = useAcknowledge(project);
  return (
    <li className={classes.row}>
      <span className={classes.badge}>
        <Badge look={alertLook(a)} />
      </span>
      <div className={classes.text}>
        {asSentence(a.sentence)}
        <span className={classes.detail}>
          {alertKind(a.kind)} · <About project={project} alert={a} /> · since <Time at={a.raised_at} />
          {a.cleared_at ? (
            <>
              {' '}
              until <Time at={a.cleared_at} />
            </>
          ) : null}
          {a.acknowledged_at && a.state !== 'cleared' ? (
            <>
              {' '}
              · seen by {actorName(a.acknowledged_by ?? '')} <Time at={a.acknowledged_at} />
            </>
          ) : null}
        </span>
        <ActError error={seen.error} />
      </div>
      {a.state === 'cleared' || a.acknowledged_at ? null : (
        <ActButton needs="operator" variant="default" size="compact-sm" loading={seen.isPending} onClick={() => seen.mutate(a.id)} aria-label={`Mark as seen: ${a.sentence}`}>
          Mark as seen
        </ActButton>
      )}
    </li>
  );
}
