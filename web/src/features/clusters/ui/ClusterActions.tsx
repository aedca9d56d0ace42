import { ActionIcon, Menu } from '@mantine/core';
import { IconDots, IconKey, IconPlayerPlay, IconPlayerStop, IconRefresh, IconReload, IconTrash } from '@tabler/icons-react';
import type { Cluster } from '~/api/schema';
import { useMay } from '~/shared/lib/role';
import { Item } from '~/shared/ui/DataTable';
import { ActButton } from '~/shared/ui/RoleGate';
import { protection } from '../model';
import type { Dialog } from './dialogContext';

const icon = { size: 16, stroke: 1.75, 'aria-hidden': true };

export function ClusterActions({ cluster: c, open }: { project: string; cluster: Cluster; open: (dialog: Dialog) => void }) {
  const admin = useMay('admin');
  const serving = c.status === 'running' || c.status === 'degraded';
  return (
    <>
      <ActButton needs="operator" blocked={!serving && `${c.name} does not run.`} onClick={() => open({ what: 'backup' })}>
        Back up now
      </ActButton>
      <ActButton needs="admin" variant="default" blocked={!serving && `${c.name} does not run.`} onClick={() => open({ what: 'add' })}>
        Add node
      </ActButton>
      {admin ? (
        <Menu>
          <Menu.Target>
            <ActionIcon variant="default" size={36} aria-label={`More actions for ${c.name}`}>
              <IconDots size={16} stroke={1.75} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Item item={{ label: 'Restart…', icon: <IconReload {...icon} />, onClick: () => open({ what: 'restart' }) }} />
            <Item item={{ label: 'Rotate credentials…', icon: <IconKey {...icon} />, onClick: () => open({ what: 'rotate' }) }} />
            <Item
              item={{
                label: 'Resync…',
                icon: <IconRefresh {...icon} />,
                blocked: c.nodes.length < 2 ? 'Needs a primary and another node.' : undefined,
                onClick: () => open({ what: 'resync' }),
              }}
            />
            {c.status === 'stopped' ? (
              <Item item={{ label: 'Start', icon: <IconPlayerPlay {...icon} />, divided: true, onClick: () => open({ what: 'start' }) }} />
            ) : (
              <Item item={{ label: 'Stop…', icon: <IconPlayerStop {...icon} />, divided: true, blocked: protection(c), onClick: () => open({ what: 'stop' }) }} />
            )}
            <Item item={{ label: 'Delete cluster…', icon: <IconTrash {...icon} />, danger: true, blocked: protection(c), onClick: () => open({ what: 'delete' }) }} />
          </Menu.Dropdown>
        </Menu>
      ) : null}
    </>
  );
}
