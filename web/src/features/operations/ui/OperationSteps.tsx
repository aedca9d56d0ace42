import { Group, Stack, Text } from '@mantine/core';
import type { Operation } from '~/api/schema';
import { actorName } from '~/shared/lib/actor';
import { active, progress } from '~/shared/ui/OperationBar';
import { RoleGate } from '~/shared/ui/RoleGate';
import { Elapsed } from '~/shared/ui/Duration';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Sentence } from '~/shared/ui/Sentence';
import { StepList } from '~/shared/ui/StepList';
import { Time } from '~/shared/ui/Time';
import { Choices } from './Choices';

/** All of one operation: its steps, and what can be decided about it. */
export function OperationSteps({ project, operation: o }: { project: string; operation: Operation }) {
  return (
    <Stack gap="md">
      <Group gap="sm">
        <StatusBadge noun="operation" status={o.status} />
        <Text size="sm" c="dimmed">
          {active(o) ? `${progress(o)}, ` : ''}
          <Elapsed from={o.created_at} to={o.finished_at} />, by {actorName(o.requested_by)}, <Time at={o.created_at} />
        </Text>
      </Group>
      {o.error ? (
        <Sentence tone="bad" banner>
          {o.error.message}
        </Sentence>
      ) : null}
      <StepList steps={o.steps} />
      <RoleGate needs="operator">
        <Choices project={project} operation={o} />
      </RoleGate>
      <Text size="xs" c="dimmed" ff="monospace">
        {o.id}
      </Text>
    </Stack>
  );
}
