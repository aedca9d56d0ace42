import { useState } from 'react';
import { newKey } from '~/api/client';
import type { Member } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { usePasswordLink } from '../queries';
import { LinkOnce } from './LinkOnce';

/** For who forgot the password: a link that sets a new one, shown once. */
export function PasswordLinkDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const [key] = useState(newKey);
  const act = usePasswordLink();
  if (act.data) return <LinkOnce title={`Password link for ${member.name}`} to={member.name} does="sets the password" link={act.data} onClose={onClose} />;
  return (
    <ConfirmDialog opened onClose={onClose} title={`Make a password link for ${member.name}`} action="Make the link" busy={act.isPending} error={act.error} onConfirm={() => act.mutate({ key, user: member.id })}>
      <p style={{ margin: 0 }}>
        {member.name} sets a new password with it. The password of today works until then; with the new one all of {member.name}’s sessions end.
      </p>
    </ConfirmDialog>
  );
}
