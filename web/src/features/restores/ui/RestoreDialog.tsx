import { useMemo, useState } from 'react';
import { Button, Group, Modal, Select, Stack, Text } from '@mantine/core';
import { useDebouncedValue, useMediaQuery } from '@mantine/hooks';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Backup, Cluster } from '~/api/schema';
import { backupsOfQuery, nameOf, restorable } from '~/features/backups';
import { clustersQuery } from '~/features/clusters';
import { useClock } from '~/shared/lib/clock';
import { serverNow } from '~/shared/lib/now';
import { useMay } from '~/shared/lib/role';
import { EmptyState } from '~/shared/ui/EmptyState';
import { Loaded } from '~/shared/ui/Loaded';
import { freeName, nameFault, newestGood, requestOf, type Where } from '../model';
import { restorePlanQuery, useRestore } from '../queries';
import { RestoreConfirm } from './RestoreConfirm';
import { RestoreTimeline } from './RestoreTimeline';
import { RestoreWhere } from './RestoreWhere';
import classes from './Restores.module.css';

interface Props {
  project: string;
  cluster: Cluster;
  /** A backup's id, or `newest`. */
  wanted: string;
  onChoose: (id: string) => void;
  onClose: () => void;
}

/** When, where, and what comes of it: three parts, one scroll. */
export function RestoreDialog({ project, cluster, wanted, onChoose, onClose }: Props) {
  const small = useMediaQuery('(max-width: 767px)') ?? false;
  const query = useInfiniteQuery(backupsOfQuery(project, cluster.name));
  const clusters = useQuery(clustersQuery(project));
  return (
    <Modal opened onClose={onClose} title={`Restore ${cluster.name}`} size={960} fullScreen={small} closeOnClickOutside={false} closeButtonProps={{ 'aria-label': 'Close' }} data-modal-content>
      <Loaded query={query} things="the backups">
        {(data) => (
          <Loaded query={clusters} things="the clusters">
            {({ items }) => <Inside project={project} cluster={cluster} wanted={wanted} onChoose={onChoose} onClose={onClose} backups={data.pages.flatMap((p) => p.items)} clusters={items} />}
          </Loaded>
        )}
      </Loaded>
    </Modal>
  );
}

function Inside({ project, cluster, wanted, onChoose, onClose, backups, clusters }: Props & { backups: readonly Backup[]; clusters: readonly Cluster[] }) {
  const clock = useClock();
  const admin = useMay('admin');
  const [where, setWhere] = useState<Where>('new');
  const taken = clusters.map((c) => c.name);
  const [name, setName] = useState(() => freeName(cluster.name, taken));
  const [other, setOther] = useState('');
  const [storage, setStorage] = useState<string>();
  const run = useRestore(project);
  const chosen = wanted === 'newest' ? newestGood(backups) : backups.find((b) => b.id === wanted);
  const fault = where === 'new' ? nameFault(name, taken, project) : undefined;
  const wish = requestOf({ backup: chosen, where, name, other, storage, cluster: cluster.name }, fault);
  const [settled] = useDebouncedValue(wish, 300);
  const plan = useQuery(restorePlanQuery(project, settled));
  const current = JSON.stringify(wish) === JSON.stringify(settled);
  // Another plan is another order; the same one sent twice is one.
  const hash = plan.data?.hash;
  const key = useMemo(() => (hash ? newKey() : ''), [hash]);
  const able = backups.filter(restorable);
  if (able.length === 0) {
    return (
      <EmptyState action={<Button variant="default" onClick={onClose}>Look at the backups</Button>}>
        Nothing to restore: no backup of {cluster.name} is complete.
      </EmptyState>
    );
  }
  const target = where === 'new' ? undefined : where === 'this' ? cluster.name : other;
  const choose = (b: Backup) => {
    setStorage(undefined);
    onChoose(b.id);
  };
  const restore = () => {
    if (!plan.data || !settled) return;
    const body = target ? { ...settled, confirm: target } : settled;
    // 412: what was read is no longer what would happen; the new plan is shown, to be read and confirmed.
    run.mutate({ key, hash: plan.data.hash, body }, { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && plan.refetch()) });
  };
  return (
    <Stack gap="md">
      <section className={classes.part} aria-label="When">
        <h3 className={classes.legend}>
          <span className={classes.number}>1</span>When
        </h3>
        <Stack gap="sm">
          <Group grow align="flex-start" preventGrowOverflow={false}>
            <Select
              label="Backup"
              data={able.map((b) => ({ value: b.id, label: `${nameOf(b, serverNow(), clock)}${b.description ? `, ${b.description}` : ''}` }))}
              value={chosen?.id ?? null}
              onChange={(id) => {
                const found = able.find((b) => b.id === id);
                if (found) choose(found);
              }}
              allowDeselect={false}
            />
            <Select
              label="Read from"
              data={[{ value: '', label: 'The best copy' }, ...(chosen?.copies ?? []).filter((c) => c.status === 'completed').map((c) => ({ value: c.storage, label: c.storage }))]}
              value={storage ?? ''}
              onChange={(next) => setStorage(next || undefined)}
              allowDeselect={false}
            />
          </Group>
          <RestoreTimeline backups={backups} chosen={chosen} onChoose={choose} />
        </Stack>
      </section>
      <section className={classes.part} aria-label="Where">
        <h3 className={classes.legend}>
          <span className={classes.number}>2</span>Where
        </h3>
        <RestoreWhere cluster={cluster} clusters={clusters} where={where} setWhere={setWhere} name={name} setName={setName} other={other} setOther={setOther} fault={fault} />
        {admin ? null : (
          <Text size="sm" c="dimmed" mt="sm">
            Restoring into a cluster that exists needs the role admin.
          </Text>
        )}
      </section>
      <RestoreConfirm
        key={`${where} ${target}`}
        plan={wish && current ? plan.data : undefined}
        error={wish ? plan.error : undefined}
        waiting={wish !== undefined && (!current || plan.isFetching)}
        target={target}
        where={where}
        sent={run}
        onClose={onClose}
        onRestore={restore}
      />
    </Stack>
  );
}
