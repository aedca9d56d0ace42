import { useState, type ReactNode } from 'react';
import { notifications } from '@mantine/notifications';
import { IconCopy, IconDatabaseExport, IconExternalLink, IconPlayerPlay, IconPlayerStop, IconTrash } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { api, ask, newKey } from '~/api/client';
import type { Cluster, Operation } from '~/api/schema';
import { began } from '~/features/operations';
import { say } from '~/shared/lib/announce';
import { useMay } from '~/shared/lib/role';
import type { MenuItem } from '~/shared/ui/DataTable';
import { protection } from '../model';
import { DeleteDialog } from './DeleteDialog';
import { VerbDialog } from './VerbDialog';

const icon = { size: 16, stroke: 1.75, 'aria-hidden': true };

type Open = { what: 'delete' | 'start' | 'stop'; cluster: Cluster };

/** What can be done with a cluster from a list. */
export function useClusterMenu(project: string): { menu: (c: Cluster) => MenuItem[]; dialogs: ReactNode; backUpAll: (all: readonly Cluster[]) => void } {
  const [open, setOpen] = useState<Open>();
  const navigate = useNavigate();
  const client = useQueryClient();
  const admin = useMay('admin');
  const operator = useMay('operator');
  const backUp = async (c: Cluster) => {
    const params = { path: { id: c.name }, query: { project }, header: { 'Idempotency-Key': newKey() } };
    try {
      began(client, project, (await ask(api.POST('/api/v1/clusters/{id}/backups', { params, body: {} }))) as Operation);
    } catch (error) {
      const message = error instanceof Error ? error.message : 'It was not begun.';
      notifications.show({ title: `No backup of ${c.name}`, message, color: 'danger', autoClose: false, role: 'alert' });
    }
  };
  const copy = async (text: string) => {
    await navigator.clipboard.writeText(text).then(
      () => say('Copied'),
      () => say('The browser does not let this page copy.'),
    );
  };
  const menu = (c: Cluster): MenuItem[] => {
    const running = c.status === 'running' || c.status === 'degraded';
    const items: (MenuItem | false)[] = [
      { label: 'Open', icon: <IconExternalLink {...icon} />, onClick: () => void navigate({ to: '/p/$project/clusters/$cluster', params: { project, cluster: c.name } }) },
      operator && {
        label: 'Back up now',
        icon: <IconDatabaseExport {...icon} />,
        blocked: running ? undefined : `${c.name} does not run.`,
        onClick: () => void backUp(c),
      },
      { label: 'Copy read-write URL', icon: <IconCopy {...icon} />, onClick: () => void copy(c.endpoints.read_write.url) },
      admin && c.status === 'stopped' && { label: 'Start', icon: <IconPlayerPlay {...icon} />, divided: true, onClick: () => setOpen({ what: 'start', cluster: c }) },
      admin &&
        c.status !== 'stopped' && { label: 'Stop…', icon: <IconPlayerStop {...icon} />, divided: true, blocked: protection(c), onClick: () => setOpen({ what: 'stop', cluster: c }) },
      admin && { label: 'Delete…', icon: <IconTrash {...icon} />, danger: true, blocked: protection(c), onClick: () => setOpen({ what: 'delete', cluster: c }) },
    ];
    return items.filter((i) => i !== false);
  };
  const close = () => setOpen(undefined);
  const dialogs =
    open?.what === 'delete' ? (
      <DeleteDialog project={project} cluster={open.cluster} onClose={close} />
    ) : open ? (
      <VerbDialog project={project} cluster={open.cluster} verb={open.what} onClose={close} />
    ) : null;
  return { menu, dialogs, backUpAll: (all) => void Promise.all(all.map(backUp)) };
}
