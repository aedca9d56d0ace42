import { ActionIcon, Menu, Text, useMantineColorScheme } from '@mantine/core';
import { IconKeyboard, IconLayoutRows, IconLogout, IconUser, IconUserCircle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { meQuery, useSignOut } from '~/features/auth';
import { prefer, usePreference } from '~/shared/lib/preferences';

const icon = { size: 16, stroke: 1.75 };

export function UserMenu({ onKeys }: { onKeys: () => void }) {
  const { data: me } = useQuery(meQuery);
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const compact = usePreference('compact');
  const signOut = useSignOut();
  const navigate = useNavigate();
  const out = () => signOut.mutate(undefined, { onSettled: () => void navigate({ to: '/sign-in' }) });
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={36} aria-label={`You: ${me?.name ?? ''}`}>
          <IconUserCircle size={20} stroke={1.75} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Text size="sm" fw={500} c="var(--ms-text)">
            {me?.name}
          </Text>
          {me?.email}
          {me?.kind === 'token' ? 'Known by a token' : ''}
        </Menu.Label>
        <Menu.Item leftSection={<IconUser {...icon} />} onClick={() => void navigate({ to: '/me' })}>
          Profile
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>Theme</Menu.Label>
        <Menu.RadioGroup value={colorScheme} onChange={(value) => setColorScheme(value as typeof colorScheme)}>
          <Menu.RadioItem value="light">
            Light
          </Menu.RadioItem>
          <Menu.RadioItem value="dark">
            Dark
          </Menu.RadioItem>
          <Menu.RadioItem value="auto">
            As the system
          </Menu.RadioItem>
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Item leftSection={<IconLayoutRows {...icon} />} onClick={() => prefer({ compact: !compact })}>
          {compact ? 'Comfortable rows' : 'Compact rows'}
        </Menu.Item>
        <Menu.Item leftSection={<IconKeyboard {...icon} />} onClick={onKeys}>
          Keyboard shortcuts
        </Menu.Item>
        {me?.kind === 'user' ? (
          <>
            <Menu.Divider />
            <Menu.Item leftSection={<IconLogout {...icon} />} onClick={out}>
              Sign out
            </Menu.Item>
          </>
        ) : null}
      </Menu.Dropdown>
    </Menu>
  );
}
