import { useCallback, useState } from 'react';
import { Button, Group, SegmentedControl, Stack, Text } from '@mantine/core';
import type { Cluster, Credentials } from '~/api/schema';
import { CopyField } from '~/shared/ui/CopyField';
import { RoleGate } from '~/shared/ui/RoleGate';
import { Secret } from '~/shared/ui/Secret';
import { loadCredentials } from '../queries';
import { guessed, HIDDEN, snippets, type Kind } from '../snippets';
import { useDialog } from './dialogContext';
import { Section } from './Section';
import classes from './Overview.module.css';

/** Where clients connect, and with what. */
export function ConnectCard({ project, cluster: c }: { project: string; cluster: Cluster }) {
  const [kind, setKind] = useState<Kind>('url');
  const [login, setLogin] = useState<Credentials>();
  const open = useDialog();
  const { read_write: rw, read_only: ro } = c.endpoints;
  const all = snippets(c.engine, login ?? guessed(c.engine, c.name, rw.host, rw.port));
  const snippet = all.find((s) => s.kind === kind) ?? all[0];
  const load = useCallback(async () => {
    const found = await loadCredentials(project, c.name);
    setLogin(found);
    return found.password;
  }, [project, c.name]);
  const shown = useCallback((value?: string) => {
    if (value === undefined) setLogin(undefined);
  }, []);
  return (
    <Section title="Connect" order={2}>
      <Stack gap="sm">
        <div>
          <div className={classes.endpoint}>
            <span>Read and write</span>
            <CopyField value={`${rw.host}:${rw.port}`} what="the read-write address" />
          </div>
          {ro ? (
            <div className={classes.endpoint}>
              <span>Read only</span>
              <CopyField value={`${ro.host}:${ro.port}`} what="the read-only address" />
            </div>
          ) : null}
        </div>
        <div style={{ overflowX: 'auto' }}>
          <SegmentedControl size="xs" aria-label="Way to connect" data={all.map((s) => ({ value: s.kind, label: s.label }))} value={kind} onChange={(v) => setKind(v as Kind)} />
        </div>
        {snippet ? <CopyField value={snippet.text} what={`${snippet.label} snippet`} multiline={snippet.text.includes('\n')} /> : null}
        {snippet?.text.includes(HIDDEN) ? (
          <Text size="xs" c="dimmed">
            The password is left out until it is shown.
          </Text>
        ) : null}
        <RoleGate needs="admin">
          <Group gap="sm" align="flex-start">
            <Secret what="password" load={load} onShown={shown} />
            <Button variant="default" onClick={() => open({ what: 'rotate' })}>
              Rotate…
            </Button>
          </Group>
        </RoleGate>
      </Stack>
    </Section>
  );
}
