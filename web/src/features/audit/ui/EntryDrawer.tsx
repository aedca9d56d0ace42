import { Stack } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { AuditEntry } from '~/api/schema';
import { actorName } from '~/shared/lib/actor';
import { localTimes } from '~/shared/lib/localTimes';
import { CopyField } from '~/shared/ui/CopyField';
import { Drawer } from '~/shared/ui/Drawer';
import { Facts } from '~/shared/ui/Facts';
import { Sentence } from '~/shared/ui/Sentence';
import { Badge } from '~/shared/ui/StatusBadge';
import { Time, Unknown } from '~/shared/ui/Time';
import { actionTitle, pieces, resultLook } from '../model';
import classes from './Audit.module.css';

const names: Record<string, string> = { asked: 'What was asked', made: 'What was made', before: 'Before', after: 'After', operation: 'Operation' };

/** One entry whole. */
export function EntryDrawer({ project, entry, wanted, onClose }: { project: string; entry?: AuditEntry; wanted?: string; onClose: () => void }) {
  return (
    <Drawer opened={wanted !== undefined} onClose={onClose} title={entry ? actionTitle(entry.action) : 'Audit entry'} wide>
      {entry ? <Inside project={project} entry={entry} /> : <Sentence tone="warn">The entry is not among those that are shown. Change the filters to see it.</Sentence>}
    </Drawer>
  );
}

function Inside({ project, entry: e }: { project: string; entry: AuditEntry }) {
  const look = resultLook(e.result);
  return (
    <Stack gap="lg">
      <Facts
        facts={[
          ['When', <Time key="w" at={e.at} />],
          ['Result', <Badge key="r" look={look} />],
          ['Who', actorName(e.actor)],
          ['From', e.from ?? <Unknown key="f" why="Not told" />],
          ['Object', e.object_name ? `${localTimes(e.object_name)} (${e.object_kind})` : e.object_kind],
          ['Action', <code key="a">{e.action}</code>],
        ]}
      />
      {pieces(e.detail).map((piece, n) => (
        // Two pieces may be called the same.
        // oxlint-disable-next-line react/no-array-index-key
        <section key={n} aria-label={names[piece.name] ?? 'Detail'}>
          {piece.name === 'said' ? (
            <Sentence tone={e.result === 'done' ? 'idle' : look.tone} banner>
              {piece.text}
            </Sentence>
          ) : (
            <>
              <h3 className={classes.head}>{names[piece.name] ?? piece.name}</h3>
              {piece.name === 'operation' ? (
                <Link to="/p/$project/operations" params={{ project }} search={{ op: piece.text, show: 'all' }}>
                  {piece.text}
                </Link>
              ) : (
                <pre className={classes.json}>{piece.text}</pre>
              )}
            </>
          )}
        </section>
      ))}
      <CopyField value={e.id} what="the entry's id" />
    </Stack>
  );
}
