import { useState, type ReactNode } from 'react';
import { Group, NativeSelect, Stack, Text } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Member, Role } from '~/api/schema';
import { useMay, useStanding } from '~/shared/lib/role';
import { useTitle } from '~/shared/lib/title';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { DataTable, type Column, type MenuItem } from '~/shared/ui/DataTable';
import { EmptyState } from '~/shared/ui/EmptyState';
import { ActError } from '~/shared/ui/ErrorCard';
import { Loaded } from '~/shared/ui/Loaded';
import { PageHead } from '~/shared/ui/PageHead';
import { ActButton } from '~/shared/ui/RoleGate';
import { Time } from '~/shared/ui/Time';
import { lastOwner, roles } from '../model';
import { membersQuery, useRemoveMember, useSetRole } from '../queries';
import { Invitations } from './Invitations';
import { InviteDialog } from './InviteDialog';
import { PasswordLinkDialog } from './PasswordLinkDialog';
import { RolesTable } from './RolesTable';

/** Who may what? */
export function MembersPage() {
  const { project } = useParams({ from: '/shell/p/$project/members' });
  useTitle('Members', project);
  const owner = useMay('owner');
  const query = useQuery(membersQuery(project));
  const change = useSetRole(project);
  const [inviting, setInviting] = useState(false);
  const [removing, setRemoving] = useState<Member>();
  const [linking, setLinking] = useState<Member>();
  const { administrator } = useStanding();
  const members = query.data?.items ?? [];
  const invite = (
    <ActButton needs="owner" leftSection={<IconPlus size={16} stroke={1.75} />} onClick={() => setInviting(true)}>
      Invite member
    </ActButton>
  );
  const role = (m: Member) => {
    const why = lastOwner(members, m, project);
    if (!owner || why) return <span title={why}>{m.role}</span>;
    return (
      <NativeSelect
        size="xs"
        aria-label={`Role of ${m.name}`}
        data={[...roles]}
        value={m.role}
        disabled={change.isPending}
        onChange={(e) => change.mutate({ user: m.id, role: e.currentTarget.value as Role })}
      />
    );
  };
  const menu = (m: Member): MenuItem[] => [
    ...(administrator ? [{ label: 'Make a password link…', onClick: () => setLinking(m) }] : []),
    { label: 'Remove…', danger: true, blocked: lastOwner(members, m, project), onClick: () => setRemoving(m) },
  ];
  return (
    <>
      <PageHead title="Members">{invite}</PageHead>
      <Stack gap="lg">
        <ActError error={change.error} />
        <Loaded query={query} things="the members">
          {({ items }) =>
            items.length === 0 ? (
              <EmptyState>Nobody is a member of {project} yet; only the administrator sees it.</EmptyState>
            ) : (
              <DataTable
                caption="Members"
                table="members"
                rows={items}
                columns={columns(role)}
                id={(m) => m.id}
                name={(m) => m.name}
                menu={owner ? menu : undefined}
                card={(m) => (
                  <Group justify="space-between" gap="sm">
                    <div>
                      <Text fw={500}>{m.name}</Text>
                      <Text size="sm" c="dimmed">
                        {m.email}
                      </Text>
                    </div>
                    {role(m)}
                  </Group>
                )}
              />
            )
          }
        </Loaded>
        {owner ? <Invitations project={project} /> : null}
        <RolesTable />
      </Stack>
      {inviting ? <InviteDialog project={project} onClose={() => setInviting(false)} /> : null}
      {linking ? <PasswordLinkDialog member={linking} onClose={() => setLinking(undefined)} /> : null}
      {removing ? <RemoveDialog project={project} member={removing} onClose={() => setRemoving(undefined)} /> : null}
    </>
  );
}

function columns(role: (m: Member) => ReactNode): Column<Member>[] {
  return [
    { id: 'name', head: 'Name', cell: (m) => m.name },
    { id: 'email', head: 'E-mail', cell: (m) => m.email },
    { id: 'role', head: 'Role', cell: role },
    { id: 'seen', head: 'Last seen', cell: (m) => <Time at={m.last_seen_at} as="age" none="Never signed in" /> },
    { id: 'note', head: 'Note', cell: (m) => [m.administrator ? 'administrator' : '', m.disabled ? 'cannot sign in' : ''].filter(Boolean).join(', ') },
  ];
}

function RemoveDialog({ project, member, onClose }: { project: string; member: Member; onClose: () => void }) {
  const act = useRemoveMember(project);
  return (
    <ConfirmDialog opened onClose={onClose} title={`Remove ${member.name}`} action="Remove member" danger busy={act.isPending} error={act.error} onConfirm={() => act.mutate(member.id, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>
        {member.name} sees nothing of {project} any more, at once. What they did stays in the audit log.
      </p>
    </ConfirmDialog>
  );
}
