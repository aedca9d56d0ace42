import { Button, Card } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Bytes } from '~/shared/ui/Bytes';
import { ActError } from '~/shared/ui/ErrorCard';
import { Loaded } from '~/shared/ui/Loaded';
import { Sentence } from '~/shared/ui/Sentence';
import { Time } from '~/shared/ui/Time';
import { ownBackupsQuery, useBackUpOwn } from '../queries';
import classes from './Recovery.module.css';

/** Mainstay itself is in the storages too, so that history and settings come back with the data. */
export function OwnBackups() {
  const query = useQuery(ownBackupsQuery);
  const act = useBackUpOwn();
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="Mainstay’s own backups">
      <h2 className={classes.title}>Mainstay’s own backups</h2>
      <Loaded query={query} things="Mainstay’s own backups">
        {({ items }) => (
          <ul className={classes.list}>
            {items.map((b) => (
              <li key={b.storage} className={classes.row}>
                <span className={classes.grow}>
                  <strong>{b.storage}</strong>
                  <span className={classes.detail}>
                    <Bytes value={b.data_bytes} none="Never made" />
                  </span>
                </span>
                {b.error ? (
                  <Sentence tone="bad">{b.error}</Sentence>
                ) : b.last_at ? (
                  <Sentence tone={b.late ? 'warn' : 'good'}>
                    <Time at={b.last_at} as="age" />
                    {b.late ? ', late' : ''}
                  </Sentence>
                ) : (
                  <Sentence tone={b.late ? 'bad' : 'unknown'}>Not yet made</Sentence>
                )}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <ActError error={act.error} />
      <Button className={classes.screen} variant="default" mt="sm" style={{ alignSelf: 'flex-start' }} loading={act.isPending} onClick={() => act.mutate()}>
        Back up now
      </Button>
      {act.isSuccess ? <Sentence tone="busy">Asked for; the list says when it is done.</Sentence> : null}
    </Card>
  );
}
