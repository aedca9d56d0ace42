import { useState } from 'react';
import { TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import type { Backup, Cluster } from '~/api/schema';
import { clustersQuery } from '~/features/clusters';
import { count } from '~/shared/lib/bytes';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Waiting } from '~/shared/ui/Skeletons';
import { bringBackPlanQuery, useBringBack } from '../queries';

/** Under its own name where that is free, else under another. */
export function BringBackDialog({ project, cluster, backups, onClose }: { project: string; cluster: Cluster; backups: readonly Backup[]; onClose: () => void }) {
  const { data: clusters } = useQuery(clustersQuery(project));
  const taken = clusters?.items.some((c) => c.name === cluster.name && c.id !== cluster.id) ?? false;
  const [name, setName] = useState('');
  const [as] = useDebouncedValue(name.trim(), 300);
  const { data, error, isFetching } = useQuery({ ...bringBackPlanQuery(project, cluster.id, as), enabled: !taken || as !== '' });
  const act = useBringBack(project, cluster.id);
  const [key] = useState(newKey);
  const blocked = taken && as === '' ? 'Choose another name.' : error ? error.message : data && as === name.trim() ? undefined : 'The plan is not there yet.';
  return (
    <ConfirmDialog opened onClose={onClose} title={`Bring ${cluster.name} back`} action="Bring back" busy={act.isPending} error={act.error} blocked={blocked} focus="action" onConfirm={() => act.mutate({ key, as }, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>
        It is made anew from its newest good backup and has its {count(backups.length, 'backup')} again. Clients connect with the credentials it had.
      </p>
      {taken ? <p style={{ margin: 0 }}>The name {cluster.name} is another cluster’s by now.</p> : null}
      <TextInput label={taken ? 'New name' : 'Another name'} description={taken ? undefined : 'Its own where this is empty'} placeholder={taken ? `${cluster.name}-back` : cluster.name} value={name} onChange={(e) => setName(e.currentTarget.value)} autoComplete="off" spellCheck={false} />
      {isFetching && !data ? <Waiting /> : data ? <PlanText plan={data} /> : <ActError error={error} />}
    </ConfirmDialog>
  );
}
