import { Anchor, Card, Group, Progress, Stack, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { IconAlertTriangle, IconCircleCheck, IconCircleX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { Check, Storage } from '~/api/schema';
import { bytes, count } from '~/shared/lib/bytes';
import { useMay } from '~/shared/lib/role';
import { RowMenu, type MenuItem } from '~/shared/ui/DataTable';
import { ActError } from '~/shared/ui/ErrorCard';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Time } from '~/shared/ui/Time';
import { loginFields } from '../login';
import { checkName, kindTitleOf, storedIn, storedText, wayOut, weaknesses } from '../model';
import { lastCheckQuery, storedQuery, useCheckStorage } from '../queries';
import classes from './Storages.module.css';

/** What is asked of a storage in a dialog of its own. */
export type StorageAsk = 'limits' | 'login' | 'rekey' | 'remove';

/** One place, and what was found when it was looked at. */
export function StorageCard({ project, storage: s, warn, onAsk }: { project: string; storage: Storage; warn: boolean; onAsk: (what: StorageAsk) => void }) {
  const check = useCheckStorage(project, s.name);
  const owner = useMay('owner');
  const { data: space } = useQuery(lastCheckQuery(project, s.name));
  const items: MenuItem[] = [
    { label: 'Set limits…', onClick: () => onAsk('limits') },
    ...(loginFields(s).length > 0 ? [{ label: 'Change credentials…', onClick: () => onAsk('login') }] : []),
    { label: 'Rekey…', blocked: s.rekeyed ? 'It was rekeyed: it only keeps what it has.' : undefined, onClick: () => onAsk('rekey') },
    { label: 'Remove…', danger: true, divided: true, onClick: () => onAsk('remove') },
  ];
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label={`Storage ${s.name}`}>
      <Stack gap="sm">
        <div className={classes.head}>
          <h2 className={classes.title}>
            {s.name}{' '}
            <span className={classes.kind}>
              · {kindTitleOf(s.kind)}
              {s.region ? ` · ${s.region}` : ''}
            </span>
            <span className={classes.where}>{s.location}</span>
          </h2>
          <ActButton needs="operator" variant="default" size="compact-sm" loading={check.isPending} onClick={() => check.mutate()} aria-label={`Check now, ${s.name}`}>
            Check now
          </ActButton>
          {owner ? <RowMenu name={s.name} items={() => items} /> : null}
        </div>
        <Verdict storage={s} />
        <Limits storage={s} />
        {s.rekeyed ? <Sentence tone="unknown">Rekeyed: it keeps what it has, new backups go beside it.</Sentence> : null}
        {s.kind === 'local' && warn ? <Sentence tone="warn">On the machine itself: no help if it is lost.</Sentence> : null}
        {space?.free_bytes !== null && space?.free_bytes !== undefined && space.total_bytes ? <Space free={space.free_bytes} total={space.total_bytes} /> : null}
        <Stored project={project} storage={s.name} />
        {s.last_check ? <Doctor rows={s.last_check.rows} /> : null}
        <ActError error={check.error} />
      </Stack>
    </Card>
  );
}

function Verdict({ storage: s }: { storage: Storage }) {
  const { last_check: last } = s;
  if (!last) return <Sentence tone="unknown">Never looked at.</Sentence>;
  const { failed } = weaknesses(last.rows);
  if (last.ok && failed.length === 0) {
    return (
      <Sentence tone="good">
        Well, checked <Time at={last.at} as="age" />
      </Sentence>
    );
  }
  return (
    <Sentence tone="bad" banner>
      {failed[0] ? `${checkName(failed[0].name)}: ${failed[0].detail}` : 'It is not well.'} Checked <Time at={last.at} as="age" />.
    </Sentence>
  );
}

/** What lies in it, and the way to it. */
function Stored({ project, storage }: { project: string; storage: string }) {
  const { data } = useQuery(storedQuery(project));
  if (!data) return null;
  const stored = storedIn(storage, data.backups);
  return (
    <Text size="sm">
      {stored.backups > 0 ? (
        <Anchor size="sm" renderRoot={(props) => <Link to="/p/$project/backups" params={{ project }} search={{ storage }} {...props} />}>
          {storedText(stored, data.whole)}
        </Anchor>
      ) : (
        storedText(stored, data.whole)
      )}
    </Text>
  );
}

/** What backups may take of it, where that is not all. */
function Limits({ storage: s }: { storage: Storage }) {
  const said = [s.bandwidth ? `${bytes(s.bandwidth)}/s` : null, s.parallel ? `${count(s.parallel, 'backup')} at a time` : null].filter((t) => t !== null);
  return said.length > 0 ? <Text size="sm">At most {said.join(', ')}</Text> : null;
}

function Space({ free, total }: { free: number; total: number }) {
  const used = ((total - free) / total) * 100;
  return (
    <div>
      <Text size="sm">
        {bytes(free)} of {bytes(total)} free
      </Text>
      <Progress value={used} size={6} mt={4} aria-label={`${Math.round(used)} percent used`} />
    </div>
  );
}

/** Each check with its own result; what is only advice is told apart from trouble. */
function Doctor({ rows }: { rows: readonly Check[] }) {
  const { failed, lacks } = weaknesses(rows);
  const well = rows.filter((r) => r.ok);
  return (
    <>
      <ul className={classes.doctor} aria-label="What is not well">
        {[...failed, ...lacks].map((row) => (
          <Row key={row.name} row={row} />
        ))}
      </ul>
      <details open={failed.length > 0}>
        <summary>{count(well.length, 'check')} passed</summary>
        <ul className={classes.doctor} aria-label="Checks that passed">
          {well.map((row) => (
            <Row key={row.name + row.detail} row={row} />
          ))}
        </ul>
      </details>
    </>
  );
}

function Row({ row }: { row: Check }) {
  const way = row.ok || row.optional ? undefined : wayOut(row);
  const Icon = row.ok ? IconCircleCheck : row.optional ? IconAlertTriangle : IconCircleX;
  const [ink, word] = row.ok ? ['good', 'Passed'] : row.optional ? ['warn', 'Lacks'] : ['bad-text', 'Failed'];
  return (
    <li className={classes.check}>
      <Icon size={16} stroke={1.75} role="img" aria-label={word} color={`var(--ms-${ink}-ink)`} />
      <Group gap={4} style={{ minWidth: 0, flex: 1 }}>
        <span>
          {checkName(row.name)} <span className={classes.detail}>{row.detail}</span>
          {way ? <span className={classes.way}>{way}</span> : null}
        </span>
      </Group>
    </li>
  );
}
