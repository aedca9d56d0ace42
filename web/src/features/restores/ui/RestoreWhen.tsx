import { Group, Radio, Stack } from '@mantine/core';
import type { Backup } from '~/api/schema';
import type { Window } from '../moment';
import { BackupChoice } from './BackupChoice';
import { MomentChoice } from './MomentChoice';
import classes from './Restores.module.css';

interface Props {
  backups: readonly Backup[];
  chosen?: Backup;
  /** Absent where no moment can be had: the choice is not drawn. */
  window?: Window;
  /** A moment is wanted; without it a backup. */
  at?: number;
  onBackup: (b?: Backup) => void;
  onMoment: (at: number) => void;
  storage?: string;
  setStorage: (storage?: string) => void;
}

/** A backup, or any moment of the window. */
export function RestoreWhen({ backups, chosen, window: w, at, onBackup, onMoment, storage, setStorage }: Props) {
  return (
    <section className={classes.part} aria-label="When">
      <h3 className={classes.legend}>
        <span className={classes.number}>1</span>When
      </h3>
      <Stack gap="sm">
        {w ? (
          <Radio.Group value={at === undefined ? 'backup' : 'moment'} onChange={(next) => (next === 'moment' ? onMoment(w.to) : onBackup())} aria-label="What to restore">
            <Group gap="lg">
              <Radio value="backup" label="Backup" />
              <Radio value="moment" label="Moment" />
            </Group>
          </Radio.Group>
        ) : null}
        {w && at !== undefined ? (
          <MomentChoice window={w} backups={backups} at={at} onChoose={onMoment} />
        ) : (
          <BackupChoice backups={backups} chosen={chosen} onChoose={onBackup} storage={storage} setStorage={setStorage} />
        )}
      </Stack>
    </section>
  );
}
