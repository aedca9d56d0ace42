import { Group, Select } from '@mantine/core';
import type { Backup } from '~/api/schema';
import { nameOf, restorable } from '~/features/backups';
import { useClock } from '~/shared/lib/clock';
import { serverNow } from '~/shared/lib/now';
import { RestoreTimeline } from './RestoreTimeline';

interface Props {
  backups: readonly Backup[];
  chosen?: Backup;
  onChoose: (b: Backup) => void;
  storage?: string;
  setStorage: (storage?: string) => void;
}

/** One of the backups, from a list or from the line. */
export function BackupChoice({ backups, chosen, onChoose, storage, setStorage }: Props) {
  const clock = useClock();
  const able = backups.filter(restorable);
  return (
    <>
      <Group grow align="flex-start" preventGrowOverflow={false}>
        <Select
          label="Backup"
          data={able.map((b) => ({ value: b.id, label: `${nameOf(b, serverNow(), clock)}${b.description ? `, ${b.description}` : ''}` }))}
          value={chosen?.id ?? null}
          onChange={(id) => {
            const found = able.find((b) => b.id === id);
            if (found) onChoose(found);
          }}
          allowDeselect={false}
        />
        <Select
          label="Read from"
          data={[{ value: '', label: 'The best copy' }, ...(chosen?.copies ?? []).filter((c) => c.status === 'completed').map((c) => ({ value: c.storage, label: c.storage }))]}
          value={storage ?? ''}
          onChange={(next) => setStorage(next || undefined)}
          allowDeselect={false}
        />
      </Group>
      <RestoreTimeline backups={backups} chosen={chosen} onChoose={onChoose} />
    </>
  );
}
