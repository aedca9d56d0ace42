import { Text } from '@mantine/core';
import type { Group, GroupBackup } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import { DataTable, type MenuItem } from '~/shared/ui/DataTable';
import { Elapsed } from '~/shared/ui/Duration';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Time } from '~/shared/ui/Time';
import { partsText } from '../model';
import classes from './Groups.module.css';

/** What the lanes show, in words. */
export function GroupBackups({ group, backups, onRestore }: { group: Group; backups: readonly GroupBackup[]; onRestore: (b: GroupBackup) => void }) {
  const menu = (b: GroupBackup): MenuItem[] => [{ label: 'Restore…', blocked: b.restorable ? undefined : 'It is not whole.', onClick: () => onRestore(b) }];
  const whole = (b: GroupBackup) => (b.restorable ? 'Whole' : b.status === 'running' ? 'Being made' : 'Not whole');
  return (
    <details>
      <summary>{count(backups.length, 'backup')} of the group</summary>
      <div style={{ marginTop: 8 }}>
        <DataTable
          caption={`Backups of ${group.name}`}
          table="group-backups"
          rows={backups}
          columns={[
            { id: 'taken', head: 'Taken', cell: (b) => <Time at={b.created_at} /> },
            {
              id: 'status',
              head: 'Status',
              cell: (b) => (
                <>
                  <StatusBadge noun="backup" status={b.status} />
                  {b.error ? <span className={classes.error}>{b.error}</span> : null}
                </>
              ),
            },
            { id: 'whole', head: 'As a whole', cell: whole },
            { id: 'parts', head: 'Parts', cell: partsText },
            { id: 'took', head: 'Took', number: true, cell: (b) => <Elapsed from={b.created_at} to={b.finished_at} /> },
            { id: 'description', head: 'Description', cell: (b) => b.description },
          ]}
          id={(b) => b.id}
          name={(b) => `the group backup ${b.id}`}
          menu={menu}
          card={(b) => (
            <>
              <Time at={b.created_at} /> <StatusBadge noun="backup" status={b.status} />
              <Text size="sm" c="dimmed">
                {whole(b)}, {partsText(b)}
              </Text>
            </>
          )}
        />
      </div>
    </details>
  );
}
