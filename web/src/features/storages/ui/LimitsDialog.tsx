import { useState } from 'react';
import { NumberInput } from '@mantine/core';
import { isProblem } from '~/api/problem';
import type { Storage } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { limitsBody, limitsDraft, limitsFaults, takesBandwidth } from '../limits';
import { useSetStorage } from '../queries';

/** How much of a storage backups may take, so that others have the rest. */
export function LimitsDialog({ project, storage, onClose }: { project: string; storage: Storage; onClose: () => void }) {
  const [draft, setDraft] = useState(() => limitsDraft(storage));
  const act = useSetStorage(project, storage.name);
  const wrong = limitsFaults(draft);
  const problem = isProblem(act.error, 422) ? act.error : undefined;
  const named = (field: string) => (problem?.field === field ? problem.detail : undefined);
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Limits of ${storage.name}`}
      action="Set limits"
      busy={act.isPending}
      error={problem?.field && problem.field in draft ? undefined : act.error}
      blocked={Object.keys(wrong).length > 0 ? 'A field needs a change.' : undefined}
      focus="action"
      onConfirm={() => act.mutate(limitsBody(draft, takesBandwidth(storage)), { onSuccess: onClose })}
    >
      {takesBandwidth(storage) ? (
      <NumberInput
        label="Bandwidth"
        description="To and from it, for all backups, copies and restores together. Empty: no limit."
        suffix=" MB/s"
        min={0}
        value={draft.bandwidth}
        onChange={(bandwidth) => setDraft({ ...draft, bandwidth })}
        error={wrong.bandwidth ?? named('bandwidth')}
      />
      ) : null}
      <NumberInput
        label="Backups at a time"
        description="Others wait for their turn. Empty: no limit of its own."
        min={1}
        allowDecimal={false}
        value={draft.parallel}
        onChange={(parallel) => setDraft({ ...draft, parallel })}
        error={wrong.parallel ?? named('parallel')}
      />
    </ConfirmDialog>
  );
}
