import { useState } from 'react';
import { newKey } from '~/api/client';
import type { Member } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { CopyField } from '~/shared/ui/CopyField';
import { Sentence } from '~/shared/ui/Sentence';
import { Time } from '~/shared/ui/Time';
import { usePasswordLink } from '../queries';

/** For who forgot the password: a link that sets a new one, shown once. */
export function PasswordLinkDialog({ member, onClose }: { member: Member; onClose: () => void }) {
  const [key] = useState(newKey);
  const act = usePasswordLink();
  if (act.data) {
    return (
      <ConfirmDialog opened onClose={onClose} title={`Password link for ${member.name}`} action="I have copied it" onConfirm={onClose} focus="action">
        <Sentence tone="warn">Copy it now. It is not shown again. Send it to {member.name} alone: whoever opens it sets the password.</Sentence>
        <CopyField value={act.data.url} what="the link" />
        {act.data.expires_at ? (
          <p style={{ margin: 0 }}>
            It works once, until <Time at={act.data.expires_at} />.
          </p>
        ) : null}
      </ConfirmDialog>
    );
  }
  return (
    <ConfirmDialog opened onClose={onClose} title={`Make a password link for ${member.name}`} action="Make the link" busy={act.isPending} error={act.error} onConfirm={() => act.mutate({ key, user: member.id })}>
      <p style={{ margin: 0 }}>
        {member.name} sets a new password with it. The password of today works until then; with the new one all of {member.name}’s sessions end.
      </p>
    </ConfirmDialog>
  );
}
