import { useState } from 'react';
import { Button, Card, FileButton, Group, PasswordInput, Select, Stack, Text } from '@mantine/core';
import type { Storage } from '~/api/schema';
import { ActError } from '~/shared/ui/ErrorCard';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { keySays } from '../model';
import { useTryKey } from '../queries';
import classes from './Recovery.module.css';

/** Tries a key as it would be tried on an empty machine: with nothing but the key and the storage. */
export function RehearseCard({ project, storages }: { project: string; storages: readonly Storage[] }) {
  const [storage, setStorage] = useState<string>();
  const [text, setText] = useState('');
  const look = useTryKey(project);
  const chosen = storage ?? storages[0]?.name ?? '';
  const said = look.data ? keySays(look.data, look.variables?.storage ?? chosen) : undefined;
  const run = () => look.mutate({ key: text, storage: chosen });
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="Rehearsal" className={classes.screen}>
      <h2 className={classes.title}>3 Rehearsal</h2>
      <Stack gap="sm">
        <Text>That a key opens the backups is known only when it was tried. Here it is tried with nothing but itself and the storage.</Text>
        <Select label="Storage" data={storages.map((s) => s.name)} value={chosen || null} onChange={(next) => setStorage(next ?? undefined)} allowDeselect={false} />
        <PasswordInput
          label="Recovery key"
          description="It is used for this look and kept nowhere"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          autoComplete="off"
          visibilityToggleButtonProps={{ 'aria-label': 'Show the recovery key', tabIndex: 0 }}
        />
        <Group gap="sm">
          <FileButton onChange={(file) => void file?.text().then((t) => setText(t.trim()))}>
            {(props) => (
              <Button variant="default" {...props}>
                Choose file
              </Button>
            )}
          </FileButton>
          <ActButton needs="owner" variant="default" loading={look.isPending} blocked={(text.trim() === '' || !chosen) && 'Paste a key or choose its file.'} onClick={run}>
            Check a key
          </ActButton>
        </Group>
        {said ? <Sentence tone={said.tone}>{said.text}</Sentence> : null}
        <ActError error={look.error} />
      </Stack>
    </Card>
  );
}
