import { useState } from 'react';
import type { Notifier } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { usePatchNotifier } from '../queries';
import { EventsField } from './EventsField';

export function EventsDialog({ project, notifier: n, onClose }: { project: string; notifier: Notifier; onClose: () => void }) {
  const [chosen, setChosen] = useState<string[]>(n.events.includes('all') ? [] : n.events);
  const patch = usePatchNotifier(project, n.id);
  const save = () => patch.mutate({ events: chosen.length > 0 ? chosen : ['all'] }, { onSuccess: onClose });
  return (
    <ConfirmDialog opened onClose={onClose} title={`What ${n.name} passes on`} action="Apply" busy={patch.isPending} error={patch.error} focus="action" onConfirm={save}>
      <EventsField value={chosen} onChange={setChosen} />
    </ConfirmDialog>
  );
}
