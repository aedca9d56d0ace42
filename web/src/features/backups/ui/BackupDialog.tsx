import { useState } from 'react';
import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Backup } from '~/api/schema';
import { storageNamesQuery } from '~/features/clusters';
import { bytes } from '~/shared/lib/bytes';
import { useClock } from '~/shared/lib/clock';
import { serverNow } from '~/shared/lib/now';
import { moment, parse } from '~/shared/lib/time';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { PlanText } from '~/shared/ui/PlanText';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { copiesGoing, placesOf, whatIsLeft } from '../model';
import { backupPlanQuery, downloadAddress, useBackupAct, type BackupVerb } from '../queries';

export interface BackupAsk {
  verb: BackupVerb | 'download';
  backup: Backup;
}

interface Props {
  project: string;
  asked: BackupAsk;
  all: readonly Backup[];
  onClose: () => void;
}

export function BackupDialog({ asked, ...rest }: Props) {
  return asked.verb === 'download' ? <DownloadDialog {...rest} backup={asked.backup} /> : <VerbDialog {...rest} backup={asked.backup} verb={asked.verb} />;
}

const words: Record<BackupVerb, { title: string; action: string; says: (b: Backup) => string }> = {
  drill: {
    title: 'Run a drill with the backup of',
    action: 'Run a drill',
    says: () => 'It is restored into a throw-away instance, the engine starts on it and checks it, and the instance is removed. The cluster does not notice.',
  },
  verify: { title: 'Verify the backup of', action: 'Verify again', says: () => 'Everything of it is read from each storage again and compared with what was written.' },
  copy: { title: 'Copy the backup of', action: 'Copy', says: () => 'The copy is written from one that is good, read back and checked. The cluster does not notice.' },
  delete: { title: 'Delete the backup of', action: 'Delete backup', says: (b) => `It is removed from ${placesOf(b).length === 1 ? 'its storage' : `all ${placesOf(b).length} storages`}.` },
};

function VerbDialog({ project, backup, verb, all, onClose }: Omit<Props, 'asked'> & { backup: Backup; verb: BackupVerb }) {
  const [storage, setStorage] = useState('');
  const act = { project, id: backup.id, verb, storage };
  const { data, error, isFetching, refetch } = useQuery(backupPlanQuery(act));
  const { data: storages } = useQuery(storageNamesQuery(project));
  const run = useBackupAct(act);
  const [key] = useState(newKey);
  const clock = useClock();
  const at = parse(backup.created_at);
  const { title, action, says } = words[verb];
  const places = (storages ?? []).filter((s) => !backup.copies.some((c) => c.storage === s && (c.status === 'completed' || c.status === 'deleting')));
  const choose = verb === 'copy' && !storage;
  const nowhere = verb === 'copy' && storages && places.length === 0;
  const blocked = nowhere ? 'Every storage has a copy.' : choose ? 'Choose a storage.' : error ? error.message : data ? undefined : 'The plan is not there yet.';
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`${title} ${at === undefined ? backup.id : moment(at, serverNow(), clock)}`}
      action={action}
      typed={verb === 'delete' ? backup.cluster : undefined}
      danger={verb === 'delete'}
      busy={run.isPending}
      error={run.error}
      blocked={blocked}
      focus={verb === 'delete' ? 'cancel' : 'action'}
      onConfirm={() => run.mutate({ key, tag: data?.tag }, { onSuccess: onClose, onError: (e) => void (isProblem(e, 412) && refetch()) })}
    >
      <p style={{ margin: 0 }}>
        {says(backup)} {verb === 'delete' ? whatIsLeft(backup, all) : ''}
      </p>
      {nowhere ? (
        <Sentence tone="idle">Every storage of {project} has a copy of it already. {copiesGoing(backup) ? 'One that is being removed can be kept, from the menu of the backup.' : 'Add a storage to have another.'}</Sentence>
      ) : verb === 'copy' ? (
        <Select label="Storage" placeholder="Choose one" data={places} value={storage || null} onChange={(next) => setStorage(next ?? '')} allowDeselect={false} />
      ) : null}
      {choose ? null : isFetching && !data ? <Waiting /> : data ? <PlanText plan={data.plan} /> : <ActError error={error} />}
    </ConfirmDialog>
  );
}

/** What leaves here is readable by whoever has it; said before, and in the audit log after. */
function DownloadDialog({ project, backup: b, onClose }: Omit<Props, 'asked' | 'all'> & { backup: Backup }) {
  const what = ['redis', 'valkey', 'keydb'].includes(b.engine) ? 'one .rdb file' : 'one .tar.zst file of the data directory';
  const download = () => {
    location.assign(downloadAddress(project, b.id));
    onClose();
  };
  return (
    <ConfirmDialog opened onClose={onClose} title={`Download a backup of ${b.cluster}`} action="Download unencrypted file" danger onConfirm={download}>
      <Sentence tone="warn" banner>
        This file is not encrypted: whoever has it can read the data.
      </Sentence>
      <p style={{ margin: 0 }}>
        It comes as {what}
        {b.data_bytes ? `, made of ${bytes(b.data_bytes)} of data` : ''}. The download is in the audit log.
      </p>
    </ConfirmDialog>
  );
}
