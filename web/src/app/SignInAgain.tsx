import { useEffect, useRef } from 'react';
import { Modal, Stack, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { setConnection, useConnection } from '~/api/connection';
import { reconnect } from '~/api/events';
import { hearSession } from '~/api/session';
import { meQuery, SignInForm } from '~/features/auth';

/** The session ended, here or in another tab: the page stays behind, with all that was typed. */
export function SignInAgain() {
  const { signedOut } = useConnection();
  const client = useQueryClient();
  const { data: me } = useQuery(meQuery);
  const who = useRef(me?.id);
  useEffect(() => {
    if (!signedOut) who.current = me?.id;
  }, [signedOut, me]);
  const again = () => {
    setConnection({ signedOut: false });
    reconnect();
    void client.invalidateQueries();
  };
  useEffect(() =>
    hearSession((what) => {
      if (what === 'out') {
        setConnection({ signedOut: true });
        return;
      }
      setConnection({ signedOut: false });
      reconnect();
      void client.invalidateQueries();
    }), [client]);
  // Somebody else sees nothing of what the one before had on the page.
  const done = () => (who.current && client.getQueryData(meQuery.queryKey)?.id !== who.current ? location.reload() : again());
  return (
    <Modal opened={signedOut} onClose={() => undefined} withCloseButton={false} closeOnEscape={false} closeOnClickOutside={false} title="Sign in again" zIndex={1000} data-modal-content>
      <Stack gap="md">
        <Text c="dimmed">Your session is over. The page stays as it is, with what you typed.</Text>
        <SignInForm onDone={done} />
      </Stack>
    </Modal>
  );
}
