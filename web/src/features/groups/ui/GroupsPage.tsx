import { useState } from 'react';
import { Stack } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useTitle } from '~/shared/lib/title';
import { EmptyState } from '~/shared/ui/EmptyState';
import { Loaded } from '~/shared/ui/Loaded';
import { PageHead } from '~/shared/ui/PageHead';
import { ActButton } from '~/shared/ui/RoleGate';
import { groupsQuery } from '../queries';
import { CreateGroupDialog } from './CreateGroupDialog';
import { GroupCard } from './GroupCard';

/** One point for several clusters. */
export function GroupsPage() {
  const { project } = useParams({ from: '/shell/p/$project/groups' });
  const { group, schedule } = useSearch({ from: '/shell/p/$project/groups' });
  const navigate = useNavigate({ from: '/p/$project/groups' });
  useTitle('Groups', project);
  const query = useQuery(groupsQuery(project));
  const [creating, setCreating] = useState(false);
  const create = (
    <ActButton needs="admin" leftSection={<IconPlus size={16} stroke={1.75} />} onClick={() => setCreating(true)}>
      Create group
    </ActButton>
  );
  return (
    <>
      <PageHead title="Groups">{query.data && query.data.items.length > 0 ? create : null}</PageHead>
      <Loaded query={query} things="the groups">
        {({ items }) =>
          items.length === 0 ? (
            <EmptyState action={create}>No groups. A group backs up several clusters at one moment, so that they fit together.</EmptyState>
          ) : (
            <Stack gap="md">
              {items.map((g) => (
                <GroupCard
                  key={g.id}
                  project={project}
                  group={g}
                  schedule={g.name === group ? schedule : undefined}
                  onSchedule={(name) => void navigate({ search: name ? { group: g.name, schedule: name } : {} })}
                />
              ))}
            </Stack>
          )
        }
      </Loaded>
      {creating ? <CreateGroupDialog project={project} onClose={() => setCreating(false)} /> : null}
    </>
  );
}
