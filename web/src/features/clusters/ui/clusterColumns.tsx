import type { ReactNode } from 'react';
import { Tooltip } from '@mantine/core';
import { IconLock } from '@tabler/icons-react';
import { useConnection } from '~/api/connection';
import type { Cluster } from '~/api/schema';
import { serverNow, useNow } from '~/shared/lib/now';
import { trouble } from '~/shared/lib/statuses';
import { parse } from '~/shared/lib/time';
import type { Column } from '~/shared/ui/DataTable';
import { Duration } from '~/shared/ui/Duration';
import { StatusBadge, StatusIcon } from '~/shared/ui/StatusBadge';
import { Time } from '~/shared/ui/Time';
import { engineTitle, heardAt, nodesSentence, recoverabilityOf, toneOf } from '../model';
import classes from './ClusterList.module.css';

export function clusterColumns(link: (c: Cluster) => ReactNode): Column<Cluster>[] {
  return [
    {
      id: 'name',
      head: 'Name',
      width: 160,
      sort: (c) => c.name,
      cell: (c) => (
        <span className={classes.name}>
          {link(c)}
          {c.protected ? (
            <Tooltip label="Protected: it cannot be stopped or deleted">
              <IconLock size={14} stroke={1.75} role="img" aria-label="Protected" />
            </Tooltip>
          ) : null}
        </span>
      ),
    },
    { id: 'status', head: 'Status', width: 160, sort: (c) => trouble(toneOf(c)), cell: (c) => <Status cluster={c} /> },
    { id: 'engine', head: 'Engine', sort: (c) => engineTitle(c.engine, c.version), cell: (c) => engineTitle(c.engine, c.version) },
    {
      id: 'nodes',
      head: 'Nodes',
      sort: (c) => c.nodes.length,
      cell: (c) => (
        <span className={classes.nodes} role="img" aria-label={nodesSentence(c)}>
          {c.nodes.map((n) => (
            <StatusIcon key={n.id} noun="node" status={n.status} name={`${n.name}: ${n.status}`} />
          ))}
        </span>
      ),
    },
    { id: 'recoverable', head: 'Recoverable to', sort: (c) => parse(c.recoverability.to), cell: (c) => <RecoverableTo cluster={c} copies /> },
    { id: 'drill', head: 'Last drill', sort: (c) => parse(c.recoverability.last_drill_at), cell: (c) => <LastDrill cluster={c} /> },
    { id: 'alerts', head: 'Alerts', number: true, sort: (c) => open(c), cell: (c) => open(c) },
  ];
}

const open = (c: Cluster) => (c.alerts ?? []).filter((a) => a.state !== 'cleared').length;

function Status({ cluster: c }: { cluster: Cluster }) {
  useNow(5000);
  const { link } = useConnection();
  const heard = heardAt(c);
  // While the stream is there, whatever is no longer heard of is told: what nothing was told of is as it was.
  const stale = link !== 'live' && c.status === 'running' && heard !== undefined && serverNow() - heard > 30_000;
  return (
    <>
      <StatusBadge noun="cluster" status={c.status} stale={stale} observedAt={heard ? new Date(heard).toISOString() : undefined} />
      {c.status_reason ? (
        <Tooltip label={c.status_reason}>
          <span className={classes.reason}>{c.status_reason}</span>
        </Tooltip>
      ) : null}
    </>
  );
}

/** The moment, with how many of its copies are good; what is amiss is named. */
export function RecoverableTo({ cluster: c, copies }: { cluster: Cluster; copies?: boolean }) {
  useNow(60_000);
  const { tone, text } = recoverabilityOf(c, serverNow());
  const r = c.recoverability;
  if (!r.to) return <span>{copies ? 'not recoverable' : 'Not recoverable'} {tone === 'bad' ? <Mark tone="failed" text={text} /> : null}</span>;
  return (
    <span className={classes.name}>
      <Time at={r.to} />
      {copies ? (
        <span>
          {r.copies_verified}/{r.copies}
        </span>
      ) : null}
      {tone === 'bad' || tone === 'warn' || tone === 'unknown' ? <Mark tone={tone === 'bad' ? 'failed' : 'degraded'} text={text} /> : null}
    </span>
  );
}

function Mark({ tone, text }: { tone: string; text: string }) {
  return <StatusIcon noun="cluster" status={tone} name={text} />;
}

function LastDrill({ cluster: { recoverability: r } }: { cluster: Cluster }) {
  if (!r.last_drill_at) return <span>never</span>;
  return (
    <span style={{ whiteSpace: 'nowrap' }}>
      <Duration seconds={r.last_drill_seconds} />, <Time at={r.last_drill_at} as="age" />
    </span>
  );
}
