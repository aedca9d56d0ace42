import { useState } from 'react';
import { Button, Card, Group, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { useMay } from '~/shared/lib/role';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { Loaded } from '~/shared/ui/Loaded';
import { Sentence } from '~/shared/ui/Sentence';
import { Time } from '~/shared/ui/Time';
import { recoveryKeysQuery, useAddKey, useRemoveKey, useRotateKey } from '../queries';
import { KeyShown } from './KeyShown';
import classes from './Recovery.module.css';

type Asked = { what: 'add' | 'rotate' } | { what: 'remove'; name: string };

/** Who can open the backups without Mainstay. */
export function KeysCard({ project }: { project: string }) {
  const query = useQuery(recoveryKeysQuery(project));
  const owner = useMay('owner');
  const [asked, setAsked] = useState<Asked>();
  const close = () => setAsked(undefined);
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="Keys">
      <h2 className={classes.title}>1 Keys</h2>
      <Loaded query={query} things="the recovery keys">
        {({ items, in_place, check }) => (
          <>
            {in_place ? null : <Sentence tone="warn">Not every repository takes exactly these keys yet. Look at the operations: one changes them, or failed to.</Sentence>}
            <ul className={classes.list}>
              {items.map((k) => (
                <li key={k.name} className={classes.row}>
                  <span className={classes.grow}>
                    <strong>{k.name}</strong>
                    <span className={classes.detail}>
                      {k.created_at ? (
                        <>
                          made <Time at={k.created_at} />
                        </>
                      ) : (
                        'made with the project'
                      )}
                    </span>
                  </span>
                  {owner && items.length > 1 && k.name !== 'default' ? (
                    <Button className={classes.screen} variant="subtle" color="danger" size="compact-sm" onClick={() => setAsked({ what: 'remove', name: k.name })} aria-label={`Remove…, the key ${k.name}`}>
                      Remove…
                    </Button>
                  ) : null}
                </li>
              ))}
            </ul>
            {check ? (
              <Sentence tone={check.ok ? 'good' : 'bad'}>
                {check.ok ? 'Last opened a backup' : `Opened nothing: ${check.detail}`} <Time at={check.at} />
              </Sentence>
            ) : (
              <Sentence tone="unknown">Not yet tried on a backup.</Sentence>
            )}
          </>
        )}
      </Loaded>
      {owner ? (
        <Group gap="sm" mt="md" className={classes.screen}>
          <Button variant="default" onClick={() => setAsked({ what: 'add' })}>
            Add key…
          </Button>
          <Button variant="default" onClick={() => setAsked({ what: 'rotate' })}>
            Rotate key…
          </Button>
        </Group>
      ) : null}
      {asked?.what === 'add' ? <AddDialog project={project} onClose={close} /> : null}
      {asked?.what === 'rotate' ? <RotateDialog project={project} onClose={close} /> : null}
      {asked?.what === 'remove' ? <RemoveDialog project={project} name={asked.name} onClose={close} /> : null}
    </Card>
  );
}

function AddDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const [name, setName] = useState('');
  const [key] = useState(newKey);
  const act = useAddKey(project);
  if (act.data) {
    return (
      <ConfirmDialog opened onClose={onClose} title={`Recovery key ${act.data.name}`} action="I have kept it" onConfirm={onClose} focus="action">
        <KeyShown project={project} name={act.data.name} value={act.data.key} />
      </ConfirmDialog>
    );
  }
  const blocked = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name) ? undefined : 'Give it a name: a-z, 0-9 and -.';
  return (
    <ConfirmDialog opened onClose={onClose} title="Add a recovery key" action="Add key" busy={act.isPending} error={act.error} blocked={blocked} focus="action" onConfirm={() => act.mutate({ key, name })}>
      <p style={{ margin: 0 }}>Another key that opens every backup of {project}, for another person or place. It is shown once and recorded.</p>
      <TextInput label="Name" placeholder="safe-deposit" description="a-z, 0-9 and -, starting with a letter" value={name} onChange={(e) => setName(e.currentTarget.value)} autoComplete="off" spellCheck={false} />
    </ConfirmDialog>
  );
}

function RotateDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const [key] = useState(newKey);
  const act = useRotateKey(project);
  if (act.data) {
    return (
      <ConfirmDialog opened onClose={onClose} title={`New recovery key of ${project}`} action="I have kept it" onConfirm={onClose} focus="action">
        <KeyShown project={project} name={act.data.name} value={act.data.key} />
      </ConfirmDialog>
    );
  }
  return (
    <ConfirmDialog opened onClose={onClose} title="Rotate the recovery key" action="Rotate key" typed={project} danger busy={act.isPending} error={act.error} onConfirm={() => act.mutate(key)}>
      <p style={{ margin: 0 }}>The first key is replaced by a new one, which is shown once. The old one opens nothing from then on: replace it wherever it is kept.</p>
    </ConfirmDialog>
  );
}

function RemoveDialog({ project, name, onClose }: { project: string; name: string; onClose: () => void }) {
  const act = useRemoveKey(project);
  return (
    <ConfirmDialog opened onClose={onClose} title={`Remove the key ${name}`} action="Remove key" typed={name} danger busy={act.isPending} error={act.error} onConfirm={() => act.mutate(name, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>Whoever has it can open no backup of {project} any more. The other keys stay.</p>
    </ConfirmDialog>
  );
}
