import { useMantineColorScheme } from '@mantine/core';
import { Spotlight, type SpotlightActionData, type SpotlightActionGroupData } from '@mantine/spotlight';
import { IconDatabase, IconSearch, IconServer } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { meQuery, useSignOut } from '~/features/auth';
import { clustersQuery } from '~/features/clusters';
import { lookOf } from '~/shared/lib/statuses';
import { prefer, usePreference } from '~/shared/lib/preferences';
import { useMay } from '~/shared/lib/role';
import { nouns } from './nav';
import { paletteStore, usePageCommands } from './palette';

const icon = { size: 16, stroke: 1.75, 'aria-hidden': true };

/** Finds names, ids and commands. A command opens its dialog; nothing acts from here. */
export function CommandPalette({ project, onKeys }: { project: string; onKeys: () => void }) {
  const { data } = useQuery(clustersQuery(project));
  const page = usePageCommands();
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const compact = usePreference('compact');
  const { data: me } = useQuery(meQuery);
  const signOut = useSignOut();
  const mayCreate = useMay('admin');
  const clusters = data?.items ?? [];
  const cluster = (name: string, tab = '') => void navigate({ to: `/p/$project/clusters/$cluster${tab}` as '/p/$project/clusters/$cluster', params: { project, cluster: name } });
  const go: SpotlightActionData[] = nouns.map((noun) => {
    const Icon = noun.icon;
    const open = () => void navigate({ to: `/p/$project/${noun.path}` as '/p/$project/clusters', params: { project } });
    return { id: `go-${noun.path}`, label: `Go to ${noun.label.toLowerCase()}`, leftSection: <Icon {...icon} />, onClick: open };
  });
  const actions: SpotlightActionGroupData[] = [
    { group: 'Here', actions: page.map((c) => ({ id: c.id, label: c.label, onClick: c.run, description: c.hint })) },
    {
      group: 'Clusters',
      actions: clusters.map((c) => ({
        id: c.id,
        label: c.name,
        keywords: [c.id, c.engine],
        description: lookOf('cluster', c.status).word,
        leftSection: <IconDatabase {...icon} />,
        onClick: () => cluster(c.name),
      })),
    },
    {
      group: 'Nodes',
      actions: clusters.flatMap((c) =>
        c.nodes.map((n) => ({ id: n.id, label: n.name, keywords: [n.id, n.address], leftSection: <IconServer {...icon} />, onClick: () => cluster(c.name, '/nodes') })),
      ),
    },
    {
      group: 'Commands',
      actions: [
        ...go,
        ...(mayCreate ? [{ id: 'create', label: 'Create cluster', onClick: () => void navigate({ to: '/p/$project/clusters/new' as '/p/$project/clusters', params: { project } }) }] : []),
        { id: 'light', label: 'Theme: light', onClick: () => setColorScheme('light') },
        { id: 'dark', label: 'Theme: dark', onClick: () => setColorScheme('dark') },
        { id: 'system', label: 'Theme: system', onClick: () => setColorScheme('auto') },
        { id: 'density', label: compact ? 'Density: comfortable rows' : 'Density: compact rows', onClick: () => prefer({ compact: !compact }) },
        { id: 'keys', label: 'Keyboard shortcuts', onClick: onKeys },
        { id: 'profile', label: 'Go to profile', onClick: () => void navigate({ to: '/me' }) },
        ...(me?.kind === 'user' ? [{ id: 'out', label: 'Sign out', onClick: () => signOut.mutate(undefined, { onSettled: () => void navigate({ to: '/sign-in' }) }) }] : []),
        { id: 'link', label: 'Copy link', onClick: () => void navigator.clipboard.writeText(location.href).catch(() => undefined) },
      ],
    },
  ];
  return (
    <Spotlight
      store={paletteStore}
      actions={actions.filter((group) => group.actions.length > 0)}
      shortcut={['mod + K', '/']}
      limit={12}
      nothingFound="Nothing matches. Search finds names, ids and commands."
      overlayProps={{ blur: 0, backgroundOpacity: 0.4 }}
      scrollable
      maxHeight={480}
      searchProps={{ leftSection: <IconSearch {...icon} />, placeholder: 'Search or run', 'aria-label': 'Search or run' }}
    />
  );
}
