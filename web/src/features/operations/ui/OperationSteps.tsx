import { Button, Group, Stack, Text } from '@mantine/core';
import type { Operation } from '~/api/schema';
import { ActError } from '~/shared/ui/ErrorCard';
import { active, progress } from '~/shared/ui/OperationBar';
import { RoleGate } from '~/shared/ui/RoleGate';
import { Elapsed } from '~/shared/ui/Duration';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Sentence } from '~/shared/ui/Sentence';
import { StepList } from '~/shared/ui/StepList';
import { Time } from '~/shared/ui/Time';
import { choices } from '../model';
import { useChoose, type Choice } from '../queries';

const words: Record<Choice, string> = { cancel: 'Cancel and undo', retry: 'Retry step', skip: 'Skip step', abandon: 'Abandon' };

/** All of one operation: its steps, and what can be decided about it. */
export function OperationSteps({ project, operation: o }: { project: string; operation: Operation }) {
  const choose = useChoose(project);
  return (
    <Stack gap="md">
      <Group gap="sm">
        <StatusBadge noun="operation" status={o.status} />
        <Text size="sm" c="dimmed">
          {active(o) ? `${progress(o)}, ` : ''}
          <Elapsed from={o.created_at} to={o.finished_at} />, by {o.requested_by}, <Time at={o.created_at} />
        </Text>
      </Group>
      {o.error ? (
        <Sentence tone="bad" banner>
          {o.error.message}
        </Sentence>
      ) : null}
      <StepList steps={o.steps} />
      <ActError error={choose.error} />
      <RoleGate needs="operator">
        <Group gap="sm">
          {choices(o).map((choice) => (
            <Button
              key={choice}
              variant="default"
              loading={choose.isPending && choose.variables.choice === choice}
              onClick={() => choose.mutate({ id: o.id, choice })}
            >
              {words[choice]}
            </Button>
          ))}
        </Group>
      </RoleGate>
      <Text size="xs" c="dimmed" ff="monospace">
        {o.id}
      </Text>
    </Stack>
  );
}
