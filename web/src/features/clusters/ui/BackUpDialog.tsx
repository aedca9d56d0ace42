import { useState } from 'react';
import { Checkbox, MultiSelect, NumberInput, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Cluster } from '~/api/schema';
import { CopyDays, copyBodyOf, copyFaults, hasFaults, type DaysOf } from '~/features/copies';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { snapshotStoragesQuery, storageNamesQuery, useBackUp } from '../queries';

/** One Enter suffices: everything has its usual value. */
export function BackUpDialog({ project, cluster, onClose }: { project: string; cluster: Cluster; onClose: () => void }) {
  const [description, setDescription] = useState('');
  const [days, setDays] = useState<number | string>(7);
  const [keep, setKeep] = useState(false);
  const [storages, setStorages] = useState<string[]>([]);
  const [copyDays, setCopyDays] = useState<DaysOf>({});
  const { data } = useQuery(storageNamesQuery(project));
  const { data: snapshots } = useQuery(snapshotStoragesQuery(project));
  const [key] = useState(newKey);
  const act = useBackUp(project, cluster.name);
  const wrong = !keep && (typeof days !== 'number' || days < 1);
  const copies = copyFaults({ places: storages, days: copyDays, snapshots, most: keep || wrong ? undefined : Number(days) });
  const refused = storages.length > 1 && isProblem(act.error, 422) && act.error.field === 'copy_retention' ? act.error.detail : undefined;
  const shorter = copyBodyOf({ places: storages, days: copyDays });
  const confirm = () =>
    act.mutate(
      {
        key,
        body: {
          description: description.trim() || undefined,
          ...(keep ? { keep: true } : { retention_days: Number(days) }),
          ...(storages.length > 0 ? { storages } : {}),
          ...(Object.keys(shorter).length > 0 ? { copy_retention: shorter } : {}),
        },
      },
      { onSuccess: onClose },
    );
  return (
    <ConfirmDialog opened onClose={onClose} title={`Back up ${cluster.name}`} action="Back up now" busy={act.isPending} error={refused ? undefined : act.error} blocked={wrong ? 'Say how many days it is kept.' : hasFaults(copies) ? 'The days of copies need a change.' : undefined} onConfirm={confirm} focus="action">
      <Stack gap="md">
        <TextInput label="Description" placeholder="before the migration" value={description} onChange={(e) => setDescription(e.currentTarget.value)} maxLength={200} />
        <NumberInput label="Keep for" description="Days; the last good backup is never deleted by itself" value={days} onChange={setDays} min={1} max={36_500} disabled={keep} suffix=" days" error={wrong ? 'Use 1 day or more.' : undefined} />
        <Checkbox label="Keep it until it is deleted by hand" checked={keep} onChange={(e) => setKeep(e.currentTarget.checked)} />
        {data && data.length > 1 ? (
          <MultiSelect label="Storages" description="The usual ones where none is chosen" data={data} value={storages} onChange={setStorages} comboboxProps={{ withinPortal: true }} />
        ) : null}
        <CopyDays places={storages} days={copyDays} onChange={setCopyDays} faults={copies} refused={refused} />
      </Stack>
    </ConfirmDialog>
  );
}
