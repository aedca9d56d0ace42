import { Modal } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useConnection } from '~/api/connection';
import { SignInForm } from '~/features/auth';

/** The session ended: the page stays behind, with all that was typed. */
export function SignInAgain() {
  const { signedOut } = useConnection();
  const client = useQueryClient();
  return (
    <Modal opened={signedOut} onClose={() => undefined} withCloseButton={false} closeOnEscape={false} closeOnClickOutside={false} title="Sign in again">
      <SignInForm onDone={() => void client.invalidateQueries()} />
    </Modal>
  );
}
