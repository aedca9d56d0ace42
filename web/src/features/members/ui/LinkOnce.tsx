import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { CopyField } from '~/shared/ui/CopyField';
import { Sentence } from '~/shared/ui/Sentence';
import { Time } from '~/shared/ui/Time';

interface Props {
  title: string;
  /** Whom it is for, and what whoever opens it does. */
  to: string;
  does: string;
  link: { url: string; expires_at?: string | null };
  onClose: () => void;
}

/** A link that works once and is shown once. */
export function LinkOnce({ title, to, does, link, onClose }: Props) {
  return (
    <ConfirmDialog opened onClose={onClose} title={title} action="I have copied it" onConfirm={onClose} focus="action">
      <Sentence tone="warn">
        Copy it now. It is not shown again. Send it to {to} alone: whoever opens it {does}.
      </Sentence>
      <CopyField value={link.url} what="the link" />
      {link.expires_at ? (
        <p style={{ margin: 0 }}>
          It works once, until <Time at={link.expires_at} />.
        </p>
      ) : null}
    </ConfirmDialog>
  );
}
