import { useState, type ReactNode } from 'react';
import { notifications } from '@mantine/notifications';
import type { Backup } from '~/api/schema';
import { useMay } from '~/shared/lib/role';
import type { MenuItem } from '~/shared/ui/DataTable';
import { copiesGoing, isGoing, unusable } from '../model';
import { useMark } from '../queries';
import { BackupDialog, type BackupAsk } from './BackupDialog';

interface Of {
  project: string;
  all: readonly Backup[];
  show: (b: Backup) => void;
  restore: (b: Backup) => void;
}

/** What can be done with a backup, from a row and from its drawer. */
export function useBackupMenu({ project, all, show, restore }: Of): { menu: (b: Backup) => MenuItem[]; dialogs: ReactNode; ask: (ask: BackupAsk) => void } {
  const [asked, setAsked] = useState<BackupAsk>();
  const [operator, admin] = [useMay('operator'), useMay('admin')];
  const mark = useMark(project);
  const marked = (b: Backup, how: 'pin' | 'unpin' | 'undelete') =>
    mark.mutate(
      { id: b.id, mark: how },
      { onError: (e) => void notifications.show({ title: 'Nothing was changed', message: e.message, color: 'danger', autoClose: false, role: 'alert' }) },
    );
  const menu = (b: Backup): MenuItem[] => {
    const blocked = unusable(b);
    const items: (MenuItem | false)[] = [
      { label: 'Open', onClick: () => show(b) },
      operator && { label: 'Restore…', blocked, onClick: () => restore(b) },
      operator && { label: 'Run a drill', blocked, divided: true, onClick: () => setAsked({ verb: 'drill', backup: b }) },
      operator && { label: 'Verify again', blocked, onClick: () => setAsked({ verb: 'verify', backup: b }) },
      operator && { label: 'Copy to storage…', blocked, onClick: () => setAsked({ verb: 'copy', backup: b }) },
      admin && { label: 'Download…', blocked, onClick: () => setAsked({ verb: 'download', backup: b }) },
      operator && { label: b.pinned ? 'Unpin' : 'Pin', divided: true, blocked: isGoing(b) ? 'It is being deleted.' : undefined, onClick: () => marked(b, b.pinned ? 'unpin' : 'pin') },
      operator && isGoing(b) && { label: 'Keep it', onClick: () => marked(b, 'undelete') },
      operator && copiesGoing(b) && { label: 'Keep its copies', onClick: () => marked(b, 'undelete') },
      admin && {
        label: 'Delete…',
        danger: true,
        blocked: b.pinned ? 'It is pinned. Unpin it first.' : b.status === 'running' ? 'It is being made.' : isGoing(b) ? 'It is being deleted.' : undefined,
        onClick: () => setAsked({ verb: 'delete', backup: b }),
      },
    ];
    return items.filter((i) => i !== false);
  };
  const dialogs = asked ? <BackupDialog project={project} asked={asked} all={all} onClose={() => setAsked(undefined)} /> : null;
  return { menu, dialogs, ask: setAsked };
}
