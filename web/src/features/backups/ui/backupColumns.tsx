import type { ReactNode } from 'react';
import { Tooltip } from '@mantine/core';
import { IconPin } from '@tabler/icons-react';
import type { Backup } from '~/api/schema';
import { lookOf, trouble as troubleOf } from '~/shared/lib/statuses';
import { Bytes } from '~/shared/ui/Bytes';
import type { Column } from '~/shared/ui/DataTable';
import { Duration } from '~/shared/ui/Duration';
import { StatusBadge, StatusIcon } from '~/shared/ui/StatusBadge';
import { Time, Unknown } from '~/shared/ui/Time';
import { addedBytes, backupKind, copyName, isGoing, keptBecause, tookSeconds, trouble } from '../model';
import classes from './Backups.module.css';

const running = 'It is being made';

/** Each copy by its storage, with its own state. */
export function Copies({ backup }: { backup: Backup }) {
  if (backup.copies.length === 0) return <Unknown why="No copy was made" />;
  return (
    <span className={classes.copies}>
      {backup.copies.map((c) => (
        <span key={c.storage} className={classes.copy}>
          {c.storage}
          <StatusIcon noun="copy" status={c.status} name={copyName(c)} />
        </span>
      ))}
    </span>
  );
}

/** Until when, and which rule says so. */
export function Kept({ backup: b }: { backup: Backup }) {
  if (isGoing(b)) {
    return (
      <>
        Deleted <Time at={b.deleting_until} as="age" />
      </>
    );
  }
  if (b.pinned) return <>Until it is unpinned</>;
  if (b.status !== 'completed' && b.status !== 'partial') return <Unknown why={b.keep_reason || 'It is not kept'} />;
  return (
    <>
      {b.expires_at ? <Time at={b.expires_at} /> : 'Until deleted'} <span className={classes.why}>{keptBecause(b) || 'no reason told'}</span>
    </>
  );
}

export function backupColumns(link: (b: Backup) => ReactNode, cluster?: (b: Backup) => ReactNode): Column<Backup>[] {
  const taken: Column<Backup> = {
    id: 'taken',
    head: 'Taken',
    width: 150,
    sort: (b) => Date.parse(b.created_at),
    cell: (b) => (
      <>
        <span className={classes.taken}>
          {link(b)} {b.pinned ? <IconPin size={14} stroke={1.75} role="img" aria-label="Pinned" /> : null}
        </span>
        {b.description ? (
          <span className={classes.description} title={b.description}>
            {b.description}
          </span>
        ) : null}
      </>
    ),
  };
  const its: Column<Backup>[] = cluster ? [{ id: 'cluster', head: 'Cluster', sort: (b) => b.cluster, cell: cluster }] : [];
  return [
    ...(cluster ? its : []),
    taken,
    {
      id: 'status',
      head: 'Status',
      width: 130,
      sort: (b) => troubleOf(lookOf('backup', b.status).tone),
      cell: (b) => (
        <>
          <StatusBadge noun="backup" status={b.status} />
          {trouble(b) ? <span className={classes.error}>{trouble(b)}</span> : null}
        </>
      ),
    },
    {
      id: 'proof',
      head: 'Proof',
      sort: (b) => b.proof,
      cell: (b) => (b.status === 'running' || b.status === 'failed' ? <Unknown why="Nothing to prove" /> : <StatusBadge noun="proof" status={b.proof} />),
    },
    { id: 'kind', head: 'Kind', width: 120, sort: (b) => b.kind, cell: (b) => <Tooltip label={b.method}><span>{backupKind(b.kind)}</span></Tooltip> },
    { id: 'data', head: 'Data', number: true, sort: (b) => b.data_bytes, cell: (b) => <Bytes value={b.data_bytes} none={b.status === 'running' ? running : 'None was read'} /> },
    { id: 'added', head: 'Added', number: true, sort: addedBytes, cell: (b) => <Bytes value={addedBytes(b)} none={b.status === 'running' ? running : 'Nothing was stored'} /> },
    { id: 'took', head: 'Took', number: true, sort: tookSeconds, cell: (b) => <Duration seconds={tookSeconds(b)} none={running} /> },
    { id: 'copies', head: 'Copies', cell: (b) => <Copies backup={b} /> },
    { id: 'kept', head: 'Kept until, why', width: 180, sort: (b) => b.expires_at ?? '9', cell: (b) => <Kept backup={b} /> },
  ];
}
