import { useState } from 'react';
import { Checkbox, MultiSelect, NumberInput, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import type { Cluster } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { storageNamesQuery, useBackUp } from '../queries';

/** One Enter suffices: everything has its usual value. */
export function BackUpDialog({ project, cluster, onClose }: { project: string; cluster: Cluster; onClose: () => void }) {
  const [description, setDescription] = useState('');
  const [days, setDays] = useState<number | string>(7);
  const [keep, setKeep] = useState(false);
  const [storages, setStorages] = useState<string[]>([]);
  const { data } = useQuery(storageNamesQuery(project));
  const [key] = useState(newKey);
  const act = useBackUp(project, cluster.name);
  const wrong = !keep && (typeof days !== 'number' || days < 1);
  const confirm = () =>
    act.mutate(
      {
        key,
        body: {
          description: description.trim() || undefined,
          ...(keep ? { keep: true } : { retention_days: Number(days) }),
          ...(storages.length > 0 ? { storages } : {}),
        },
      },
      { onSuccess: onClose },
    );
  return (
    <ConfirmDialog opened onClose={onClose} title={`Back up ${cluster.name}`} action="Back up now" busy={act.isPending} error={act.error} blocked={wrong ? 'Say how many days it is kept.' : undefined} onConfirm={confirm} focus="action">
      <Stack gap="md">
        <TextInput label="Description" placeholder="before the migration" value={description} onChange={(e) => setDescription(e.currentTarget.value)} maxLength={200} />
        <NumberInput label="Keep for" description="Days; the last good backup is never deleted by itself" value={days} onChange={setDays} min={1} max={36_500} disabled={keep} suffix=" days" error={wrong ? 'Use 1 day or more.' : undefined} />
        <Checkbox label="Keep it until it is deleted by hand" checked={keep} onChange={(e) => setKeep(e.currentTarget.checked)} />
        {data && data.length > 1 ? (
          <MultiSelect label="Storages" description="The usual ones where none is chosen" data={data} value={storages} onChange={setStorages} comboboxProps={{ withinPortal: true }} />
        ) : null}
      </Stack>
    </ConfirmDialog>
  );
}
