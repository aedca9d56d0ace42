import { Card } from '@mantine/core';
import { IconCircleCheck, IconAlertTriangle } from '@tabler/icons-react';
import type { Storage } from '~/api/schema';
import { kindTitleOf } from '~/features/storages';
import { CopyField } from '~/shared/ui/CopyField';
import { Sentence } from '~/shared/ui/Sentence';
import { offMachine, recoverCommand } from '../model';
import classes from './Recovery.module.css';

/** Where the backups are when the machine is not, and how they are found from there. */
export function StoragesCard({ storages }: { storages: readonly Storage[] }) {
  const away = storages.filter(offMachine);
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="Storages">
      <h2 className={classes.title}>2 Storages</h2>
      {storages.length > 0 && away.length === 0 ? <Sentence tone="bad">All are on this machine: if it is lost, so are the backups. Add a storage elsewhere.</Sentence> : null}
      <ul className={classes.list}>
        {storages.map((s) => {
          const off = offMachine(s);
          const Icon = off ? IconCircleCheck : IconAlertTriangle;
          return (
            <li key={s.id} className={classes.row}>
              <Icon size={16} stroke={1.75} aria-hidden color={`var(--ms-${off ? 'good' : 'warn'}-ink)`} />
              <span className={classes.grow}>
                <strong>{s.name}</strong> · {kindTitleOf(s.kind)} {off ? '' : '· on this machine'}
                <span className={classes.detail}>{s.location}</span>
              </span>
              <span style={{ flexBasis: '100%' }}>
                <CopyField value={recoverCommand(s)} what={`the command for ${s.name}`} command />
              </span>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
