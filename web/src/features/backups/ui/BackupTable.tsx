import { useMemo, type ReactNode } from 'react';
import { Anchor, Button, Group, Stack, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { Backup } from '~/api/schema';
import { ColumnsMenu } from '~/shared/ui/ColumnsMenu';
import { DataTable } from '~/shared/ui/DataTable';
import { EmptyState } from '~/shared/ui/EmptyState';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Time } from '~/shared/ui/Time';
import { sortOf, sortText } from '~/search';
import { filteredBackups, hasFilters, trouble } from '../model';
import type { BackupsSearch } from '../search';
import { backupColumns, Kept } from './backupColumns';
import { BackupDrawer } from './BackupDrawer';
import { BackupFilters } from './BackupFilters';
import { useBackupMenu } from './useBackupMenu';

interface Props {
  project: string;
  backups: readonly Backup[];
  search: BackupsSearch;
  change: (part: Partial<BackupsSearch>, replace?: boolean) => void;
  onRestore: (b: Backup) => void;
  /** Of several clusters: the column and the filter of it. */
  clusters?: readonly string[];
  more?: { has: boolean; busy: boolean; load: () => void };
  empty: ReactNode;
}

/** By the text: thousands of dates need not be read for it. */
const newest = (a: Backup, b: Backup) => (a.created_at === b.created_at ? 0 : a.created_at < b.created_at ? 1 : -1);

const link = (b: Backup) => (
  <Anchor fw={500} renderRoot={(props) => <Link to="." search={((before: object) => ({ ...before, backup: b.id })) as never} {...props} />}>
    <Time at={b.created_at} />
  </Anchor>
);

export function BackupTable({ project, backups, search, change, onRestore, clusters, more, empty }: Props) {
  const rows = useMemo(() => filteredBackups(backups, search), [backups, search]);
  const show = (b: Backup) => change({ backup: b.id }, false);
  const { menu, dialogs, ask } = useBackupMenu({ project, all: backups, show, restore: onRestore });
  const ofMany = clusters !== undefined;
  const columns = useMemo(() => {
    const cluster = (b: Backup) => <Anchor size="sm" renderRoot={(props) => <Link to="/p/$project/clusters/$cluster" params={{ project, cluster: b.cluster }} {...props} />}>{b.cluster}</Anchor>;
    return backupColumns(link, ofMany ? cluster : undefined);
  }, [project, ofMany]);
  const clear = () => change({ q: undefined, status: undefined, kind: undefined, storage: undefined, cluster: undefined, from: undefined, until: undefined });
  const table = clusters ? 'all-backups' : 'backups';
  return (
    <Stack gap="sm">
      {backups.length > 0 || hasFilters(search) ? (
        <BackupFilters backups={backups} search={search} change={change} clusters={clusters}>
          <ColumnsMenu table={table} columns={columns} />
        </BackupFilters>
      ) : null}
      {rows.length === 0 ? (
        hasFilters(search) ? (
          <EmptyState action={<Button variant="default" onClick={clear}>Clear filters</Button>}>No backups match these filters.</EmptyState>
        ) : (
          empty
        )
      ) : (
        <DataTable
          caption="Backups"
          table={table}
          rows={rows}
          columns={columns}
          id={(b) => b.id}
          name={(b) => `the backup of ${b.cluster}, ${b.id}`}
          onOpen={show}
          menu={menu}
          sort={sortOf(search.sort)}
          onSort={(sort) => change({ sort: sortText(sort) })}
          order={newest}
          flashOn={(b) => `${b.status} ${b.proof}`}
          card={(b) => (
            <>
              <Group justify="space-between" wrap="nowrap" gap="sm">
                {link(b)}
                <StatusBadge noun="backup" status={b.status} />
              </Group>
              <Text size="sm" c="dimmed">
                {clusters ? `${b.cluster} · ` : ''}
                {trouble(b) ?? <Kept backup={b} />}
              </Text>
            </>
          )}
        />
      )}
      {more?.has ? (
        <Group gap="sm">
          <Button variant="default" loading={more.busy} onClick={more.load}>
            Load more
          </Button>
          <Text size="sm" c="dimmed">
            The newest {backups.length} are here; search, days and storages look through these.
          </Text>
        </Group>
      ) : null}
      <BackupDrawer project={project} id={search.backup} onClose={() => change({ backup: undefined })} onRestore={onRestore} onAct={ask} />
      {dialogs}
    </Stack>
  );
}
