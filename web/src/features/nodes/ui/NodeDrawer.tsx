import { useEffect, useRef, useState } from 'react';
import { Group, Stack, Switch, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Cluster, Node } from '~/api/schema';
import { CopyButton, CopyField } from '~/shared/ui/CopyField';
import { Bytes } from '~/shared/ui/Bytes';
import { Drawer } from '~/shared/ui/Drawer';
import { ErrorCard } from '~/shared/ui/ErrorCard';
import { Facts } from '~/shared/ui/Facts';
import { Lag } from '~/shared/ui/Lag';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Time, Unknown } from '~/shared/ui/Time';
import { nodeLogsQuery, nodeMetricsQuery } from '../queries';
import classes from './NodeDrawer.module.css';

/** All of one node, and what it says. */
export function NodeDrawer({ project, cluster, name, onClose }: { project: string; cluster: Cluster; name?: string; onClose: () => void }) {
  const node = cluster.nodes.find((n) => n.name === name);
  return (
    <Drawer opened={name !== undefined} onClose={onClose} title={name ?? ''} wide>
      {node ? (
        <Inside project={project} cluster={cluster.name} node={node} />
      ) : (
        <Sentence tone="warn">
          There is no node named {name} in {cluster.name}.
        </Sentence>
      )}
    </Drawer>
  );
}

function Inside({ project, cluster, node: n }: { project: string; cluster: string; node: Node }) {
  const { data } = useQuery(nodeMetricsQuery(project, cluster, n.name));
  const m = data?.now;
  const none = 'No measurement yet';
  return (
    <Stack gap="lg">
      {n.status_reason ? (
        <Sentence tone="warn" banner>
          {n.status_reason}
        </Sentence>
      ) : null}
      <Facts
        facts={[
          ['Status', <StatusBadge key="s" noun="node" status={n.status} observedAt={n.observed_at} />],
          ['Role', n.role === 'primary' ? 'Primary' : 'Replica'],
          ['Lag', <Lag key="l" node={n} />],
          ['Host', n.host],
          ['Memory', <Bytes key="m" value={m?.memory_bytes} none={none} />],
          ['Data', <Bytes key="d" value={m?.data_bytes} none={none} />],
          ['Disk free', <Bytes key="f" value={m?.disk_free_bytes} none={none} />],
          ['Connections', m?.connections ?? n.connections ?? <Unknown key="c" why={none} />],
          ['Position', n.position ? <code key="p">{n.position}</code> : <Unknown key="p" why="No news of it" />],
          ['Last heard', <Time key="h" at={n.observed_at} as="age" />],
          ['Made', <Time key="a" at={n.created_at} />],
        ]}
      />
      <CopyField value={`${n.address}:${n.port}`} what="the node's own address" />
      <Logs project={project} cluster={cluster} node={n.name} />
    </Stack>
  );
}

function Logs({ project, cluster, node }: { project: string; cluster: string; node: string }) {
  const [follow, setFollow] = useState(true);
  const [wrap, setWrap] = useState(false);
  const [text, setText] = useState('');
  const query = useQuery(nodeLogsQuery(project, cluster, node, follow));
  const place = useRef<HTMLPreElement>(null);
  const all = query.data?.lines ?? [];
  const lines = text ? all.filter((l) => l.toLowerCase().includes(text.toLowerCase())) : all;
  useEffect(() => {
    if (follow) place.current?.scrollTo({ top: place.current.scrollHeight });
  }, [follow, query.data]);
  return (
    <section aria-label={`Log of ${node}`}>
      <Group gap="sm" mb="sm">
        <h3 className={classes.head}>Log</h3>
        <TextInput size="xs" aria-label="Search the log" placeholder="Search" value={text} onChange={(e) => setText(e.currentTarget.value)} />
        <Switch size="xs" label="Follow" checked={follow} onChange={(e) => setFollow(e.currentTarget.checked)} />
        <Switch size="xs" label="Wrap" checked={wrap} onChange={(e) => setWrap(e.currentTarget.checked)} />
        <CopyButton value={lines.join('\n')} what="the log" />
      </Group>
      {query.isPending ? (
        <Waiting />
      ) : query.isError && !query.data ? (
        <ErrorCard error={query.error} things="the log" retry={() => void query.refetch()} />
      ) : (
        <pre ref={place} className={classes.log} data-wrap={wrap || undefined} tabIndex={0} aria-label={`Lines of ${node}`}>
          {lines.length > 0 ? lines.join('\n') : text ? 'No line matches.' : 'It has said nothing yet.'}
        </pre>
      )}
    </section>
  );
}
