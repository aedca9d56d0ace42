import { useMemo, useState } from 'react';
import { Button, Modal, Stack, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Backup, Cluster, PointInTime } from '~/api/schema';
import { backupsOfQuery, restorable } from '~/features/backups';
import { clustersQuery } from '~/features/clusters';
import { serverNow } from '~/shared/lib/now';
import { useMay } from '~/shared/lib/role';
import { useSettled } from '~/shared/lib/settled';
import { parse } from '~/shared/lib/time';
import { EmptyState } from '~/shared/ui/EmptyState';
import { Loaded } from '~/shared/ui/Loaded';
import { freeName, nameFault, newestGood, requestOf, type Where } from '../model';
import { momentFault, windowOf, written } from '../moment';
import { momentsQuery, restorePlanQuery, useRestore } from '../queries';
import { RestoreConfirm } from './RestoreConfirm';
import { RestoreWhen } from './RestoreWhen';
import { RestoreWhere } from './RestoreWhere';
import classes from './Restores.module.css';

/** What the address says of the dialog: all of it can be sent to somebody. */
export interface Asked {
  /** A backup's id, or `newest`. */
  restore?: string;
  /** A moment, in place of the backup. */
  at?: string;
  to?: Where;
}

interface Props {
  project: string;
  cluster: Cluster;
  asked: Asked;
  onChange: (asked: Asked) => void;
  onClose: () => void;
}

/** When, where, and what comes of it: three parts, one scroll. */
export function RestoreDialog({ project, cluster, ...rest }: Props) {
  const small = useMediaQuery('(max-width: 767px)') ?? false;
  const query = useInfiniteQuery(backupsOfQuery(project, cluster.name));
  const clusters = useQuery(clustersQuery(project));
  const moments = useQuery(momentsQuery(project, cluster.name));
  return (
    <Modal opened onClose={rest.onClose} title={`Restore ${cluster.name}`} size={960} fullScreen={small} closeOnClickOutside={false} closeButtonProps={{ 'aria-label': 'Close' }} data-modal-content>
      <Loaded query={query} things="the backups">
        {(data) => (
          <Loaded query={clusters} things="the clusters">
            {({ items }) => <Inside {...rest} project={project} cluster={cluster} backups={data.pages.flatMap((p) => p.items)} clusters={items} moments={moments.data ?? cluster.point_in_time ?? undefined} />}
          </Loaded>
        )}
      </Loaded>
    </Modal>
  );
}

function Inside({ project, cluster, asked, onChange, onClose, backups, clusters, moments }: Props & { backups: readonly Backup[]; clusters: readonly Cluster[]; moments?: PointInTime }) {
  const admin = useMay('admin');
  const where = (admin ? asked.to : undefined) ?? 'new';
  const taken = clusters.map((c) => c.name);
  const [name, setName] = useState(() => freeName(cluster.name, taken));
  const [other, setOther] = useState('');
  const [storage, setStorage] = useState<string>();
  const run = useRestore(project);
  const able = backups.some(restorable);
  const window = windowOf(moments);
  const at = window ? parse(asked.at) : undefined;
  const chosen = asked.restore === 'newest' ? newestGood(backups) : backups.find((b) => b.id === asked.restore);
  const fault = where === 'new' ? nameFault(name, taken, project) : undefined;
  const when = window && at !== undefined ? (momentFault(window, at, serverNow()) ? {} : { until: written(at) }) : { backup: chosen, storage };
  const wish = requestOf({ ...when, where, name, other, cluster: cluster.name }, fault);
  const { settled, current } = useSettled(wish);
  const plan = useQuery(restorePlanQuery(project, settled));
  // Another plan is another order; the same one sent twice is one.
  const hash = plan.data?.hash;
  const key = useMemo(() => (hash ? newKey() : ''), [hash]);
  if (!able) {
    return (
      <EmptyState action={<Button variant="default" onClick={onClose}>Look at the backups</Button>}>
        Nothing to restore: no backup of {cluster.name} is complete.
      </EmptyState>
    );
  }
  const target = where === 'new' ? undefined : where === 'this' ? cluster.name : other;
  const restore = () => {
    if (!plan.data || !settled) return;
    const body = target ? { ...settled, confirm: target } : settled;
    // 412: what was read is no longer what would happen; the new plan is shown, to be read and confirmed.
    run.mutate({ key, hash: plan.data.hash, body }, { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && plan.refetch()) });
  };
  return (
    <Stack gap="md">
      <RestoreWhen
        backups={backups}
        chosen={chosen}
        window={window}
        at={at}
        onBackup={(b) => {
          setStorage(undefined);
          onChange({ ...asked, restore: b?.id ?? asked.restore, at: undefined });
        }}
        onMoment={(next) => onChange({ ...asked, at: written(next) })}
        storage={storage}
        setStorage={setStorage}
      />
      <section className={classes.part} aria-label="Where">
        <h3 className={classes.legend}>
          <span className={classes.number}>2</span>Where
        </h3>
        <RestoreWhere cluster={cluster} clusters={clusters} where={where} setWhere={(to) => onChange({ ...asked, to: to === 'new' ? undefined : to })} name={name} setName={setName} other={other} setOther={setOther} fault={fault} />
        {admin ? null : (
          <Text size="sm" c="dimmed" mt="sm">
            Restoring into a cluster that exists needs the role admin.
          </Text>
        )}
      </section>
      <RestoreConfirm
        key={`${where} ${target}`}
        plan={wish && current ? plan.data : undefined}
        backup={backups.find((b) => b.id === plan.data?.backup)}
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
