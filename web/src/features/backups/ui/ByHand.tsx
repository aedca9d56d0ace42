import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Backup } from '~/api/schema';
import { CopyField } from '~/shared/ui/CopyField';
import { Loaded } from '~/shared/ui/Loaded';
import { Sentence } from '~/shared/ui/Sentence';
import { restorable } from '../model';
import { commandsQuery } from '../queries';
import classes from './Backups.module.css';

/** The exact commands, for the day there is no Mainstay. */
export function ByHand({ project, backup }: { project: string; backup: Backup }) {
  const query = useQuery({ ...commandsQuery(project, backup.id), enabled: restorable(backup) });
  if (!restorable(backup)) return null;
  return (
    <section aria-label="Restore without Mainstay">
      <h3 className={classes.head}>Restore without Mainstay</h3>
      <Text size="sm" c="dimmed" mb="sm">
        With the recovery key of the project in a file, on a machine that reaches the storage. A line that begins with # explains the next one.
      </Text>
      <Loaded query={query} things="the commands">
        {(copies) => (
          <Stack gap="md">
            {copies.map((copy, n) => (
              <div key={copy.storage ?? n}>
                {copy.storage ? (
                  <Text size="sm" fw={500} mb={4}>
                    From {copy.storage}
                  </Text>
                ) : null}
                {copy.error ? (
                  <Sentence tone="warn">{copy.error}</Sentence>
                ) : (
                  <CopyField value={copy.commands.join('\n')} what={`the commands${copy.storage ? ` for ${copy.storage}` : ''}`} multiline />
                )}
              </div>
            ))}
          </Stack>
        )}
      </Loaded>
    </section>
  );
}
