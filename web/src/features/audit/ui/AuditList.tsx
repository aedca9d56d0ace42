import { useMemo } from 'react';
import { Anchor, Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { AuditEntry } from '~/api/schema';
import { actorName } from '~/shared/lib/actor';
import { localTimes } from '~/shared/lib/localTimes';
import { DataTable, type Column } from '~/shared/ui/DataTable';
import { EmptyState } from '~/shared/ui/EmptyState';
import { FilterMenu } from '~/shared/ui/FilterMenu';
import { Loaded } from '~/shared/ui/Loaded';
import { Badge } from '~/shared/ui/StatusBadge';
import { Time, Unknown } from '~/shared/ui/Time';
import { clean } from '~/search';
import { actionTitle, pieces, resultLook, span } from '../model';
import { auditQuery } from '../queries';
import type { AuditSearch } from '../search';
import { EntryDrawer } from './EntryDrawer';
import classes from './Audit.module.css';

interface Props {
  project: string;
  search: AuditSearch;
  change: (part: Partial<AuditSearch>, replace?: boolean) => void;
  /** Of one cluster alone. */
  object?: string;
}

const results = ['done', 'refused', 'failed'];

/** Who did what? */
export function AuditList({ project, search, change, object }: Props) {
  const { actor, action, result } = search;
  const query = useInfiniteQuery(auditQuery(project, clean({ actor, action, result, object: object ?? search.object, ...span(search) })));
  const all = useMemo(() => query.data?.pages.flatMap((p) => p.items) ?? [], [query.data]);
  const show = (e: AuditEntry) => change({ entry: e.id }, false);
  return (
    <Stack gap="sm">
      <Filters all={all} search={search} change={change} object={object} />
      <Loaded query={query} things="the audit log">
        {() =>
          all.length === 0 ? (
            <EmptyState>Nothing was recorded in this time.</EmptyState>
          ) : (
            <DataTable
              caption="Audit entries"
              table="audit"
              rows={all}
              columns={columns}
              id={(e) => e.id}
              name={(e) => `${actionTitle(e.action)}, ${e.id}`}
              onOpen={show}
              card={(e) => (
                <>
                  <Group justify="space-between" wrap="nowrap" gap="sm">
                    <Text fw={500}>{actionTitle(e.action)}</Text>
                    <Badge look={resultLook(e.result)} />
                  </Group>
                  <Text size="sm" c="dimmed">
                    {e.object_name ? localTimes(e.object_name) : e.object_kind} · {actorName(e.actor)} · <Time at={e.at} />
                  </Text>
                </>
              )}
            />
          )
        }
      </Loaded>
      {query.hasNextPage ? (
        <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()} style={{ alignSelf: 'flex-start' }}>
          Load more
        </Button>
      ) : null}
      <EntryDrawer project={project} entry={all.find((e) => e.id === search.entry)} wanted={search.entry} onClose={() => change({ entry: undefined })} />
    </Stack>
  );
}

const columns: Column<AuditEntry>[] = [
  {
    id: 'when',
    head: 'When',
    width: 130,
    cell: (e) => (
      <Anchor fw={500} renderRoot={(props) => <Link to="." search={((before: object) => ({ ...before, entry: e.id })) as never} {...props} />}>
        <Time at={e.at} />
      </Anchor>
    ),
  },
  { id: 'who', head: 'Who', width: 180, cell: (e) => actorName(e.actor) },
  { id: 'action', head: 'Action', width: 150, cell: (e) => actionTitle(e.action) },
  { id: 'object', head: 'Object', cell: (e) => (e.object_name ? localTimes(e.object_name) : e.object_kind) },
  { id: 'from', head: 'From', cell: (e) => e.from ?? <Unknown why="Not told" /> },
  {
    id: 'result',
    head: 'Result',
    width: 200,
    cell: (e) => (
      <>
        <Badge look={resultLook(e.result)} />
        {e.result === 'done' ? null : <span className={classes.said}>{pieces(e.detail).find((p) => p.name === 'said')?.text}</span>}
      </>
    ),
  },
];

function Filters({ all, search, change, object }: Omit<Props, 'project'> & { all: readonly AuditEntry[] }) {
  const unique = (of: (e: AuditEntry) => string) => [...new Set(all.map(of))].toSorted();
  return (
    <Group gap="sm">
      <FilterMenu label="Who" value={search.actor} options={unique((e) => e.actor).map((value) => ({ value, label: actorName(value) }))} onChange={(actor) => change({ actor })} />
      <FilterMenu label="Action" value={search.action} options={unique((e) => e.action).map((value) => ({ value, label: actionTitle(value) }))} onChange={(action) => change({ action })} />
      <FilterMenu
        label="Result"
        value={search.result}
        options={results.map((value) => ({ value, label: resultLook(value).word }))}
        onChange={(result) => change({ result: result as AuditSearch['result'] })}
      />
      {object ? null : (
        <TextInput className={classes.text} aria-label="Name or id of an object" placeholder="Name or id of an object" value={search.object ?? ''} onChange={(e) => change({ object: e.currentTarget.value || undefined })} />
      )}
      <TextInput type="date" className={classes.date} leftSection="From" leftSectionWidth={52} aria-label="From this day" value={search.from ?? ''} onChange={(e) => change({ from: e.currentTarget.value || undefined })} />
      <TextInput type="date" className={classes.date} leftSection="to" leftSectionWidth={32} aria-label="Until this day" value={search.until ?? ''} onChange={(e) => change({ until: e.currentTarget.value || undefined })} />
    </Group>
  );
}
