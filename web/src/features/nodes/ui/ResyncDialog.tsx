import { useState } from 'react';
import { Checkbox, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Cluster } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Waiting } from '~/shared/ui/Skeletons';
import { resyncPlanQuery, useResync } from '../queries';

/** Replaces the data of replicas by a copy of the primary's. */
export function ResyncDialog({ project, cluster, onClose }: { project: string; cluster: Cluster; onClose: () => void }) {
  const replicas = cluster.nodes.filter((n) => n.role !== 'primary');
  const primary = cluster.nodes.find((n) => n.role === 'primary');
  const [nodes, setNodes] = useState(replicas.map((n) => n.name));
  const { data, error, isLoading, refetch } = useQuery(resyncPlanQuery(project, cluster.name, nodes));
  const act = useResync(project, cluster.name);
  const [key] = useState(newKey);
  const blocked = nodes.length === 0 ? 'Choose at least one replica.' : error ? error.message : data ? undefined : 'The plan is not there yet.';
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Resync ${cluster.name}`}
      action={`Resync ${count(nodes.length, 'replica')}`}
      typed={cluster.name}
      danger
      busy={act.isPending}
      error={act.error}
      blocked={blocked}
      onConfirm={() => act.mutate({ key, tag: data?.tag, nodes }, { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && refetch()) })}
    >
      <p style={{ margin: 0 }}>
        The data on the chosen replicas is replaced by a copy of {primary?.name ?? 'the primary'}, one after the other. Writes that exist only on them are
        lost. The old data is kept aside until the copies are healthy.
      </p>
      <Checkbox.Group label="Replicas" value={nodes} onChange={setNodes}>
        <Stack gap="xs" mt={4}>
          {replicas.map((n) => (
            <Checkbox key={n.id} value={n.name} label={n.name} />
          ))}
        </Stack>
      </Checkbox.Group>
      {isLoading ? <Waiting /> : data ? <PlanText plan={data.plan} summary={false} /> : <ActError error={error} />}
    </ConfirmDialog>
  );
}
