import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Cluster, Node } from '~/api/schema';
import { bytes } from '~/shared/lib/bytes';
import { duration } from '~/shared/lib/time';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Waiting } from '~/shared/ui/Skeletons';
import { nodePlanQuery, useNodeAct, type NodeVerb } from '../queries';

interface Props {
  project: string;
  cluster: Cluster;
  verb: NodeVerb;
  node?: string;
  onClose: () => void;
}

const titles: Record<NodeVerb, string> = { add: 'Add a node to', promote: 'Promote', reboot: 'Reboot', remove: 'Remove' };

function behind(node?: Node): string {
  if (!node || node.lag_bytes === null || node.lag_bytes === undefined) return 'How far it is behind is not known.';
  const lag = `${bytes(node.lag_bytes)} (${duration(node.lag_seconds ?? 0)}) behind`;
  return node.lag_bytes === 0 ? `It is ${lag}: nothing is lost.` : `It is ${lag}; it catches up before it takes over.`;
}

function says(verb: NodeVerb, cluster: Cluster, node?: Node): string {
  const primary = cluster.nodes.find((n) => n.role === 'primary');
  switch (verb) {
    case 'add':
      return `A replica is seeded from ${cluster.name}, catches up, and only then serves. Nothing is interrupted.`;
    case 'promote':
      return `It becomes the primary; ${primary?.name ?? 'the primary'} becomes a replica. ${behind(node)} New connections wait; open sessions are closed and reconnect.`;
    case 'reboot':
      return node?.role === 'primary'
        ? `${node.name} is the primary: its sessions are closed, and it does not take writes until it is back.`
        : `${node?.name} stops and starts again; its sessions are closed. The primary goes on.`;
    case 'remove':
      return `${node?.name} is detached and its data is removed. The other nodes go on; the data is on them.`;
  }
}

/** An act on a node, with its plan; what takes something away wants the node's name. */
export function NodeDialog({ project, cluster, verb, node, onClose }: Props) {
  const act = { project, cluster: cluster.name, node, verb };
  const { data, error, isPending, refetch } = useQuery(nodePlanQuery(act));
  const run = useNodeAct(act);
  const [key] = useState(newKey);
  const target = node ?? cluster.name;
  const confirm = () => run.mutate({ key, tag: data?.tag }, { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && refetch()) });
  const button = verb === 'add' ? 'Add node' : `${titles[verb]} ${target}`;
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`${titles[verb]} ${target}`}
      action={button}
      typed={verb === 'promote' || verb === 'remove' ? node : undefined}
      danger={verb === 'remove'}
      busy={run.isPending}
      error={run.error}
      blocked={error ? error.message : data ? undefined : 'The plan is not there yet.'}
      onConfirm={confirm}
    >
      <p style={{ margin: 0 }}>{says(verb, cluster, cluster.nodes.find((n) => n.name === node))}</p>
      {isPending ? <Waiting /> : data ? <PlanText plan={data.plan} summary={false} /> : <ActError error={error} />}
    </ConfirmDialog>
  );
}
