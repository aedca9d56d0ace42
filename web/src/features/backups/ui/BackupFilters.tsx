import { useRef, type ReactNode } from 'react';
import { Group, TextInput } from '@mantine/core';
import type { Backup } from '~/api/schema';
import { useKeys } from '~/shared/lib/hotkeys';
import { lookOf } from '~/shared/lib/statuses';
import { FilterMenu } from '~/shared/ui/FilterMenu';
import { backupKind, backupKinds } from '../model';
import type { BackupsSearch } from '../search';
import classes from './Backups.module.css';

interface Props {
  backups: readonly Backup[];
  search: BackupsSearch;
  change: (part: Partial<BackupsSearch>) => void;
  /** Names of clusters, where the list is of several. */
  clusters?: readonly string[];
  children?: ReactNode;
}

const statuses = ['running', 'completed', 'partial', 'failed', 'deleting', 'expired'];

export function BackupFilters({ backups, search, change, clusters, children }: Props) {
  const input = useRef<HTMLInputElement>(null);
  useKeys({ f: () => input.current?.focus() });
  const storages = [...new Set(backups.flatMap((b) => b.copies.map((c) => c.storage)))].toSorted();
  return (
    <Group gap="sm" className={classes.filters}>
      <TextInput
        ref={input}
        className={classes.text}
        aria-label="Filter by text"
        placeholder="Filter by text"
        value={search.q ?? ''}
        onChange={(event) => change({ q: event.currentTarget.value || undefined })}
      />
      {clusters ? (
        <FilterMenu label="Cluster" value={search.cluster} options={clusters.map((c) => ({ value: c, label: c }))} onChange={(cluster) => change({ cluster })} />
      ) : null}
      <FilterMenu label="Status" value={search.status} options={statuses.map((s) => ({ value: s, label: lookOf('backup', s).word }))} onChange={(status) => change({ status })} />
      <FilterMenu label="Kind" value={search.kind} options={backupKinds.map((k) => ({ value: k, label: backupKind(k) }))} onChange={(kind) => change({ kind })} />
      <FilterMenu label="Storage" value={search.storage} options={storages.map((s) => ({ value: s, label: s }))} onChange={(storage) => change({ storage })} />
      <TextInput type="date" size="sm" className={classes.date} leftSection="From" leftSectionWidth={52} aria-label="From this day" value={search.from ?? ''} onChange={(e) => change({ from: e.currentTarget.value || undefined })} />
      <TextInput type="date" size="sm" className={classes.date} leftSection="to" leftSectionWidth={32} aria-label="Until this day" value={search.until ?? ''} onChange={(e) => change({ until: e.currentTarget.value || undefined })} />
      {children}
    </Group>
  );
}
