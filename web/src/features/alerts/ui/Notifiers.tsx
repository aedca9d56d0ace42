import { useState } from 'react';
import { Switch } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { Notifier } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import { useMay } from '~/shared/lib/role';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { RowMenu, type MenuItem } from '~/shared/ui/DataTable';
import { ActError } from '~/shared/ui/ErrorCard';
import { Loaded } from '~/shared/ui/Loaded';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Badge } from '~/shared/ui/StatusBadge';
import { Time } from '~/shared/ui/Time';
import { eventsText, notifierLook } from '../model';
import { notifiersQuery, usePatchNotifier, useRemoveNotifier, useTestNotifier } from '../queries';
import { AddNotifierDialog } from './AddNotifierDialog';
import { EventsDialog } from './EventsDialog';
import classes from './Alerts.module.css';

/** Who is told. */
export function Notifiers({ project }: { project: string }) {
  const query = useQuery(notifiersQuery(project));
  const [adding, setAdding] = useState(false);
  return (
    <section aria-label="Notifiers">
      <div className={classes.head}>
        <h2 className={classes.section}>Notifiers</h2>
        <ActButton needs="owner" variant="default" leftSection={<IconPlus size={16} stroke={1.75} />} onClick={() => setAdding(true)}>
          Add notifier
        </ActButton>
      </div>
      <div style={{ marginTop: 12 }}>
        <Loaded query={query} things="the notifiers">
          {({ items }) =>
            items.length === 0 ? (
              <Sentence tone="warn">Nobody is told when something goes wrong. Add an e-mail address or a webhook.</Sentence>
            ) : (
              <ul className={classes.list} aria-label="Notifiers">
                {items.map((n) => (
                  <Row key={n.id} project={project} notifier={n} />
                ))}
              </ul>
            )
          }
        </Loaded>
      </div>
      {adding ? <AddNotifierDialog project={project} onClose={() => setAdding(false)} /> : null}
    </section>
  );
}

function Row({ project, notifier: n }: { project: string; notifier: Notifier }) {
  const [asked, setAsked] = useState<'events' | 'remove'>();
  const owner = useMay('owner');
  const patch = usePatchNotifier(project, n.id);
  const test = useTestNotifier(project, n.id);
  const items: MenuItem[] = [
    { label: 'Choose events…', onClick: () => setAsked('events') },
    { label: 'Remove…', danger: true, divided: true, onClick: () => setAsked('remove') },
  ];
  return (
    <li className={classes.row}>
      <span className={classes.badge}>
        <Badge look={notifierLook(n)} />
      </span>
      <div className={classes.text}>
        <strong>{n.name}</strong> · {n.kind === 'email' ? 'E-mail' : 'Webhook'} · {n.target}
        <span className={classes.detail}>{eventsText(n.events)}</span>
        <span className={classes.detail}>
          {n.last_delivered_at ? (
            <>
              Last delivered <Time at={n.last_delivered_at} />
            </>
          ) : (
            'Nothing was delivered yet'
          )}
          {n.pending > 0 ? ` · ${count(n.pending, 'message')} on the way` : ''}
          {n.dead > 0 ? ` · ${count(n.dead, 'message')} given up` : ''}
        </span>
        {n.error ? (
          <span className={classes.bad}>
            {n.failing_since ? (
              <>
                Failing since <Time at={n.failing_since} />:{' '}
              </>
            ) : null}
            {n.error}
          </span>
        ) : null}
        {test.data ? <Sentence tone={test.data.ok ? 'good' : 'bad'}>{test.data.said}</Sentence> : null}
        <ActError error={test.error ?? patch.error} />
      </div>
      <ActButton needs="operator" variant="default" size="compact-sm" loading={test.isPending} onClick={() => test.mutate()} aria-label={`Send a test to ${n.name}`}>
        Send a test
      </ActButton>
      {owner ? (
        <>
          <Switch aria-label={`${n.name} is on`} checked={n.enabled} disabled={patch.isPending} onChange={(e) => patch.mutate({ enabled: e.currentTarget.checked })} />
          <RowMenu name={n.name} items={() => items} />
        </>
      ) : null}
      {asked === 'events' ? <EventsDialog project={project} notifier={n} onClose={() => setAsked(undefined)} /> : null}
      {asked === 'remove' ? <RemoveDialog project={project} notifier={n} onClose={() => setAsked(undefined)} /> : null}
    </li>
  );
}

function RemoveDialog({ project, notifier: n, onClose }: { project: string; notifier: Notifier; onClose: () => void }) {
  const remove = useRemoveNotifier(project, n.id);
  return (
    <ConfirmDialog opened onClose={onClose} title={`Remove ${n.name}`} action="Remove notifier" danger busy={remove.isPending} error={remove.error} onConfirm={() => remove.mutate(undefined, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>
        {n.target} is told nothing any more{n.pending > 0 ? `, and ${count(n.pending, 'message')} on the way ${n.pending === 1 ? 'is' : 'are'} dropped` : ''}.
      </p>
    </ConfirmDialog>
  );
}
