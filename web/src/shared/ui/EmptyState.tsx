import type { ReactNode } from 'react';
import { Group, Stack, Text } from '@mantine/core';

/** Nothing here: what it would be, and the one way on. */
export function EmptyState({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <Stack align="flex-start" gap="md" py="lg">
      <Text maw="72ch">{children}</Text>
      {action ? <Group gap="sm">{action}</Group> : null}
    </Stack>
  );
}
