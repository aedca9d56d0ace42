import { Checkbox, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { clustersQuery } from '~/features/clusters';

interface Props {
  project: string;
  members: string[];
  onChange: (members: string[]) => void;
  fault?: string;
}

/** Which clusters of the project are in a group. */
export function MemberChoice({ project, members, onChange, fault }: Props) {
  const { data } = useQuery(clustersQuery(project));
  return (
    <Checkbox.Group label="Members" value={members} onChange={onChange} error={fault}>
      <Stack gap="xs" my={4}>
        {(data?.items ?? []).map((c) => (
          <Checkbox key={c.id} value={c.name} label={c.name} />
        ))}
      </Stack>
    </Checkbox.Group>
  );
}
