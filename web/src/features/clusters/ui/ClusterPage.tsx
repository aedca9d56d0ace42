import { Alert, Stack } from '@mantine/core';
import { IconLock } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Outlet, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { isProblem } from '~/api/problem';
import type { Cluster } from '~/api/schema';
import { useCommands, type Command } from '~/app/palette';
import { ObjectBar } from '~/features/operations';
import { useKeys } from '~/shared/lib/hotkeys';
import { lookOf } from '~/shared/lib/statuses';
import { useMay } from '~/shared/lib/role';
import { EmptyState } from '~/shared/ui/EmptyState';
import { ErrorCard } from '~/shared/ui/ErrorCard';
import { PageHead } from '~/shared/ui/PageHead';
import { Sentence } from '~/shared/ui/Sentence';
import { CardsSkeleton, Waiting } from '~/shared/ui/Skeletons';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { LinkButton } from '~/shared/ui/LinkButton';
import { Time } from '~/shared/ui/Time';
import { engineTitle, heardAt, modeTitle } from '../model';
import { clusterQuery } from '../queries';
import { ClusterActions } from './ClusterActions';
import { ClusterTabs, useTabs } from './ClusterTabs';
import { DialogContext, type Dialog } from './dialogContext';
import { ClusterDialogs } from './dialogs';
import classes from './ClusterPage.module.css';

/** What stands around every tab of a cluster: its name, its state, what is being done to it. */
export function ClusterPage() {
  const { project, cluster: name } = useParams({ from: '/shell/p/$project/clusters/$cluster' });
  const query = useQuery(clusterQuery(project, name));
  const [dialog, setDialog] = useState<Dialog>();
  if (query.isPending) {
    return (
      <Waiting>
        <CardsSkeleton />
      </Waiting>
    );
  }
  if (!query.data) {
    return isProblem(query.error, 404) ? (
      <NotThere project={project} name={name} />
    ) : (
      <ErrorCard error={query.error} things={`the cluster ${name}`} project={project} retry={() => void query.refetch()} />
    );
  }
  const cluster = query.data;
  return (
    <DialogContext value={setDialog}>
      <Stack gap="md" maw={1440}>
        <Head project={project} cluster={cluster} open={setDialog} />
        <ClusterTabs project={project} cluster={cluster} />
        <Outlet />
      </Stack>
      {dialog ? <ClusterDialogs project={project} cluster={cluster} dialog={dialog} onClose={() => setDialog(undefined)} /> : null}
    </DialogContext>
  );
}

function NotThere({ project, name }: { project: string; name: string }) {
  return (
    <>
      <PageHead title="Not found" />
      <EmptyState action={
          <>
            <LinkButton to={`/p/${project}/bin`}>Recycle bin</LinkButton>
            <LinkButton to={`/p/${project}/clusters`}>All clusters</LinkButton>
          </>
        }>
        There is no cluster named {name} in {project}. If it was deleted it may be in the recycle bin.
      </EmptyState>
    </>
  );
}

function Head({ project, cluster: c, open }: { project: string; cluster: Cluster; open: (dialog: Dialog) => void }) {
  const heard = heardAt(c);
  const tone = lookOf('cluster', c.status).tone;
  useShortcuts(project, c, open);
  return (
    <div className={classes.head}>
      <PageHead
        name={c.name}
        title={
          <>
            <span>{c.name}</span>
            {c.protected ? <IconLock size={16} stroke={1.75} role="img" aria-label="Protected" /> : null}
            <StatusBadge noun="cluster" status={c.status} observedAt={heard ? new Date(heard).toISOString() : undefined} />
            <span className={classes.engine}>
              {engineTitle(c.engine, c.version)} · {modeTitle(c.mode)}
            </span>
          </>
        }
      >
        {c.status === 'deleted' ? null : <ClusterActions project={project} cluster={c} open={open} />}
      </PageHead>
      <div className={classes.news}>
        {c.status === 'deleted' ? (
          <Alert color="gray" variant="light">
            Deleted <Time at={c.deleted_at} />. {c.deleted_until ? <>It can be brought back until <Time at={c.deleted_until} />.</> : null}
          </Alert>
        ) : null}
        {c.status_reason && c.status !== 'running' ? (
          <Sentence tone={tone} banner>
            {c.status_reason}
          </Sentence>
        ) : null}
        {(c.alerts ?? [])
          .filter((a) => a.state !== 'cleared')
          .map((a) => (
            <Sentence key={a.id} tone="warn" banner>
              {a.sentence}
            </Sentence>
          ))}
        <ObjectBar project={project} cluster={c.name} />
      </div>
    </div>
  );
}

/** Keys of the page, and what the palette lists for it. */
function useShortcuts(project: string, c: Cluster, open: (dialog: Dialog) => void) {
  const tabs = useTabs(project, c);
  const navigate = useNavigate();
  const [operator, admin] = [useMay('operator'), useMay('admin')];
  const go = (to: string) => void navigate({ to });
  const live = c.status !== 'deleted';
  const restore = () => void navigate({ to: '/p/$project/clusters/$cluster/backups', params: { project, cluster: c.name }, search: { restore: 'newest' } });
  useKeys({
    ...Object.fromEntries(tabs.map((tab, n) => [String(n + 1), () => go(tab.to)])),
    ...(operator && live ? { b: () => open({ what: 'backup' }), r: restore } : {}),
  });
  const command = (id: string, label: string, dialog: Dialog, may = admin): Command | false => may && live && { id, label, run: () => open(dialog) };
  const offered = [
    command('backup', `Back up ${c.name} now…`, { what: 'backup' }, operator),
    operator && live && { id: 'restore', label: `Restore ${c.name}…`, run: restore },
    admin && live && { id: 'schedule', label: `Set a schedule of ${c.name}…`, run: () => void navigate({ to: '/p/$project/clusters/$cluster/backups', params: { project, cluster: c.name }, search: { schedule: '+' } }) },
    { id: 'address', label: `Copy the read-write address of ${c.name}`, run: () => void navigator.clipboard.writeText(`${c.endpoints.read_write.host}:${c.endpoints.read_write.port}`).catch(() => undefined) },
    command('add', `Add node to ${c.name}…`, { what: 'add' }),
    ...c.nodes.filter((n) => n.role !== 'primary').map((n) => command(`promote-${n.id}`, `Promote ${n.name}…`, { what: 'promote', node: n.name })),
    ...c.nodes.map((n) => command(`reboot-${n.id}`, `Reboot ${n.name}…`, { what: 'reboot', node: n.name }, operator)),
    c.nodes.length > 1 && command('resync', `Resync ${c.name}…`, { what: 'resync' }),
    command('rotate', `Rotate credentials of ${c.name}…`, { what: 'rotate' }),
    c.status === 'stopped' ? command('start', `Start ${c.name}`, { what: 'start' }) : command('stop', `Stop ${c.name}…`, { what: 'stop' }),
    command('restart', `Restart ${c.name}…`, { what: 'restart' }),
    command('delete', `Delete ${c.name}…`, { what: 'delete' }),
    ...tabs.map((tab): Command => ({ id: `tab-${tab.label}`, label: `${c.name}: ${tab.label}`, run: () => go(tab.to) })),
  ];
  useCommands(offered.filter((o) => o !== false));
}
