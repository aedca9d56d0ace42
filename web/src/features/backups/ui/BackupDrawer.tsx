import { Button, Group, Stack, Text } from '@mantine/core';
import { IconCircleCheck, IconCircleX, IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { Backup, BackupCopy, Check } from '~/api/schema';
import { engineTitle } from '~/features/clusters';
import { asSentence } from '~/shared/lib/localTimes';
import { duration } from '~/shared/lib/time';
import { Bytes } from '~/shared/ui/Bytes';
import { CopyField } from '~/shared/ui/CopyField';
import { Drawer } from '~/shared/ui/Drawer';
import { Duration } from '~/shared/ui/Duration';
import { Facts } from '~/shared/ui/Facts';
import { Loaded } from '~/shared/ui/Loaded';
import { ActButton, RoleGate } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Time, Unknown } from '~/shared/ui/Time';
import { addedBytes, backupKind, checkTitle, isGoing, isLetGo, stayOf, tookSeconds, unusable } from '../model';
import { backupQuery } from '../queries';
import { Kept } from './backupColumns';
import type { BackupAsk } from './BackupDialog';
import { ByHand } from './ByHand';
import classes from './Backups.module.css';

interface Props {
  project: string;
  id?: string;
  onClose: () => void;
  onRestore: (b: Backup) => void;
  onAct: (ask: BackupAsk) => void;
}

/** All of one backup: where it is, how it was proved, why it is kept, and how to open it without Mainstay. */
export function BackupDrawer({ id, onClose, ...rest }: Props) {
  return (
    <Drawer opened={id !== undefined} onClose={onClose} title="Backup" wide>
      {id ? <Inside id={id} {...rest} /> : null}
    </Drawer>
  );
}

function Inside({ project, id, onRestore, onAct }: Omit<Props, 'onClose' | 'id'> & { id: string }) {
  const query = useQuery(backupQuery(project, id));
  return (
    <Loaded query={query} things="this backup">
      {(b) => (
        <Stack gap="lg">
          {b.error ? (
            <Sentence tone="bad" banner>
              {b.error}
            </Sentence>
          ) : null}
          {isGoing(b) ? (
            <Sentence tone="warn" banner>
              It is deleted <Time at={b.deleting_until} as="age" />. Until then it can be kept.
            </Sentence>
          ) : null}
          {b.proof === 'suspicious' ? (
            <Sentence tone="warn" banner>
              It is suspicious: something about it differs from the ones before. Older backups are kept until a drill passes.
            </Sentence>
          ) : null}
          <About backup={b} />
          <Group gap="sm">
            <ActButton needs="operator" blocked={unusable(b)} onClick={() => onRestore(b)}>
              Restore…
            </ActButton>
            <ActButton needs="operator" variant="default" blocked={unusable(b)} onClick={() => onAct({ verb: 'drill', backup: b })}>
              Run a drill
            </ActButton>
            <ActButton needs="operator" variant="default" blocked={unusable(b)} onClick={() => onAct({ verb: 'verify', backup: b })}>
              Verify again
            </ActButton>
          </Group>
          <CopiesPart backup={b} onAct={onAct} />
          <ChecksPart backup={b} />
          <ByHand project={project} backup={b} />
          <CopyField value={b.id} what="the backup's id" />
        </Stack>
      )}
    </Loaded>
  );
}

function About({ backup: b }: { backup: Backup }) {
  return (
    <Facts
      facts={[
        ['Cluster', b.cluster],
        ['Taken', <Time key="t" at={b.created_at} />],
        ['Status', <StatusBadge key="s" noun="backup" status={b.status} />],
        ['Proof', <StatusBadge key="p" noun="proof" status={b.proof} />],
        ['Kind', backupKind(b.kind)],
        ['Method', b.method],
        ['Engine', engineTitle(b.engine, b.engine_version)],
        ['Position', b.position ? <code key="o">{b.position}</code> : <Unknown key="o" why="None was recorded" />],
        ['Data', <Bytes key="d" value={b.data_bytes} none="None was read" />],
        ['Added', <Bytes key="a" value={addedBytes(b)} none="Nothing was stored" />],
        ['Took', <Duration key="k" seconds={tookSeconds(b)} none="It is being made" />],
        ['Kept until', <Kept key="u" backup={b} />],
        ...(b.description ? ([['Description', b.description]] as const) : []),
      ]}
    />
  );
}

/** Of a copy that does not simply stay as long as its backup: until when, or why it is not there. */
function CopyStay({ copy, pinned }: { copy: BackupCopy; pinned: boolean }) {
  const stay = stayOf(copy);
  if (!stay) return null;
  return (
    <span className={classes.detail}>
      {stay.is === 'until' ? (
        <>
          here until <Time at={stay.until} />
          {pinned ? ', and while the backup is pinned' : ''}
        </>
      ) : stay.is === 'going' ? (
        <>
          Its time in this storage is over{stay.until ? <>; until <Time at={stay.until} /> it can be kept, from the menu of the backup.</> : '. It is being removed.'}
        </>
      ) : (
        asSentence(stay.why)
      )}
    </span>
  );
}

function CopiesPart({ backup: b, onAct }: { backup: Backup; onAct: (ask: BackupAsk) => void }) {
  return (
    <section aria-label="Copies">
      <h3 className={classes.head}>Copies</h3>
      <ul className={classes.list}>
        {b.copies.map((c) => (
          <li key={c.storage} className={classes.item}>
            <div className={classes.grow}>
              <Text fw={500}>{c.storage}</Text>
              <span className={classes.detail}>
                {c.verified_at ? (
                  <>
                    verified <Time at={c.verified_at} />
                  </>
                ) : (
                  'not verified'
                )}
                , <Bytes value={c.added_bytes} none="nothing added" /> added
              </span>
              {b.status === 'deleting' ? null : <CopyStay copy={c} pinned={b.pinned} />}
              {c.error && !isLetGo(c) ? <span className={classes.error}>{c.error}</span> : null}
            </div>
            <StatusBadge noun="copy" status={c.status} />
          </li>
        ))}
      </ul>
      <RoleGate needs="operator">
        <Button variant="default" mt="sm" onClick={() => onAct({ verb: 'copy', backup: b })} disabled={unusable(b) !== undefined}>
          Add a copy
        </Button>
      </RoleGate>
    </section>
  );
}

function CheckRow({ check }: { check: Check }) {
  const Icon = check.ok ? IconCircleCheck : check.optional ? IconAlertTriangle : IconCircleX;
  const ink = check.ok ? 'good' : check.optional ? 'warn' : 'bad-text';
  return (
    <li className={classes.item}>
      <Icon size={16} stroke={1.75} role="img" aria-label={check.ok ? 'Passed' : 'Failed'} color={`var(--ms-${ink}-ink)`} style={{ flex: 'none', marginTop: 2 }} />
      <div className={classes.grow}>
        {checkTitle(check.name)}
        <span className={classes.detail}>{check.detail}</span>
      </div>
    </li>
  );
}

function ChecksPart({ backup: b }: { backup: Backup }) {
  return (
    <section aria-label="Checks">
      <h3 className={classes.head}>Checks</h3>
      {b.checks.length === 0 ? <Text c="dimmed">None was made yet.</Text> : null}
      <ul className={classes.list}>
        {b.checks.map((check) => (
          <CheckRow key={check.name + check.detail} check={check} />
        ))}
        <li className={classes.item}>
          <div className={classes.grow}>
            {b.drill ? (
              <Sentence tone={b.drill.ok ? 'good' : 'bad'}>
                Drill {b.drill.ok ? `restored in ${duration(b.drill.seconds)}` : `failed after ${duration(b.drill.seconds)}`}, <Time at={b.drill.at} />
              </Sentence>
            ) : (
              <Sentence tone="idle">Never drilled: that it restores was not proved.</Sentence>
            )}
          </div>
        </li>
      </ul>
    </section>
  );
}
