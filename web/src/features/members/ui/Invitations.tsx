import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Invitation } from '~/api/schema';
import { actorName } from '~/shared/lib/actor';
import { DataTable } from '~/shared/ui/DataTable';
import { ActError } from '~/shared/ui/ErrorCard';
import { Loaded } from '~/shared/ui/Loaded';
import { ActButton } from '~/shared/ui/RoleGate';
import { Time } from '~/shared/ui/Time';
import { invitationsQuery, useWithdraw } from '../queries';

/** Links that were not used yet. */
export function Invitations({ project }: { project: string }) {
  const query = useQuery(invitationsQuery(project));
  const act = useWithdraw(project);
  const withdraw = (i: Invitation) => (
    <ActButton needs="owner" variant="default" size="compact-sm" loading={act.isPending && act.variables === i.id} onClick={() => act.mutate(i.id)} aria-label={`Revoke, the invitation of ${i.email}`}>
      Revoke
    </ActButton>
  );
  return (
    <Loaded query={query} things="the invitations">
      {({ items }) =>
        items.length === 0 ? null : (
          <section aria-label="Invitations">
            <Text component="h2" fz="lg" fw={600} mb="sm">
              Invitations
            </Text>
            <ActError error={act.error} />
            <DataTable
              caption="Invitations that were not used yet"
              table="invitations"
              rows={items}
              columns={[
                { id: 'email', head: 'E-mail', cell: (i) => i.email },
                { id: 'role', head: 'Role', cell: (i) => i.role },
                { id: 'by', head: 'By', cell: (i) => actorName(i.made_by) },
                { id: 'until', head: 'Valid until', cell: (i) => <Time at={i.expires_at} /> },
                { id: 'act', head: 'Actions', cell: withdraw },
              ]}
              id={(i) => i.id}
              name={(i) => i.email}
              card={(i) => (
                <>
                  <Text fw={500}>{i.email}</Text>
                  <Text size="sm" c="dimmed" component="div">
                    {i.role}, until <Time at={i.expires_at} /> {withdraw(i)}
                  </Text>
                </>
              )}
            />
          </section>
        )
      }
    </Loaded>
  );
}
