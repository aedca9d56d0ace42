import { Button, Group, Modal, Text } from '@mantine/core';
import { useBlocker } from '@tanstack/react-router';
import { count } from '~/shared/lib/bytes';

/** Asks before changes are left behind; what it answers is drawn by the page. */
export function useLeaveGuard(changed: number) {
  const { status, proceed, reset } = useBlocker({
    shouldBlockFn: ({ current, next }) => changed > 0 && current.pathname !== next.pathname,
    enableBeforeUnload: () => changed > 0,
    withResolver: true,
  });
  return (
    <Modal opened={status === 'blocked'} onClose={() => reset?.()} title="Leave this page" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Text mb="md">Leave without saving the {count(changed, 'change')}?</Text>
      <Group justify="flex-end" gap="sm">
        <Button variant="default" onClick={() => reset?.()} data-autofocus>
          Stay
        </Button>
        <Button onClick={() => proceed?.()}>Leave</Button>
      </Group>
    </Modal>
  );
}
