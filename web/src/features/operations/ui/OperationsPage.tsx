import { Anchor, Button, Group, Stack, Text } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Operation } from '~/api/schema';
import { actorName } from '~/shared/lib/actor';
import { kindTitle } from '~/shared/lib/kinds';
import { lookOf, trouble } from '~/shared/lib/statuses';
import { useTitle } from '~/shared/lib/title';
import { DataTable, type Column } from '~/shared/ui/DataTable';
import { Drawer } from '~/shared/ui/Drawer';
import { Elapsed } from '~/shared/ui/Duration';
import { EmptyState } from '~/shared/ui/EmptyState';
import { FilterMenu } from '~/shared/ui/FilterMenu';
import { Loaded } from '~/shared/ui/Loaded';
import { active, currentStep, progress } from '~/shared/ui/OperationBar';
import { PageHead } from '~/shared/ui/PageHead';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Time, Unknown } from '~/shared/ui/Time';
import { clean } from '~/search';
import { filteredOperations, merged, partOf, title, type Part } from '../model';
import { activeOperationsQuery, allOperationsQuery, operationQuery } from '../queries';
import type { OperationsSearch } from '../search';
import { OperationSteps } from './OperationSteps';
import classes from './Operations.module.css';

const parts: readonly { part: Part; label: string }[] = [
  { part: 'running', label: 'Running' },
  { part: 'decision', label: 'Needs a decision' },
  { part: 'ended', label: 'Ended' },
  { part: 'all', label: 'All' },
];

const nothing: Record<Part, string> = {
  running: 'Nothing is running.',
  decision: 'Nothing needs a decision.',
  ended: 'Nothing has ended yet.',
  all: 'Nothing was done yet.',
};

const link = (o: Operation) => (
  <Anchor fw={500} renderRoot={(props) => <Link from="/p/$project/operations" to="." search={(before) => ({ ...before, op: o.id })} {...props} />}>
    {kindTitle(o.kind)}
  </Anchor>
);

/** What is running, what needs a decision? */
export function OperationsPage() {
  const { project } = useParams({ from: '/shell/p/$project/operations' });
  const search = useSearch({ from: '/shell/p/$project/operations' });
  const navigate = useNavigate({ from: '/p/$project/operations' });
  useTitle('Operations', project);
  const listed = useInfiniteQuery(allOperationsQuery(project));
  const { data: running } = useQuery(activeOperationsQuery(project));
  const all = useMemo(() => merged(running?.items ?? [], listed.data?.pages.flatMap((p) => p.items) ?? []), [running, listed.data]);
  const change = (part: Partial<OperationsSearch>, replace = true) => void navigate({ search: (before) => clean({ ...before, ...part }), replace });
  const show = search.show ?? 'running';
  const rows = useMemo(() => filteredOperations(all, search), [all, search]);
  return (
    <>
      <PageHead title="Operations" />
      <Loaded query={listed} things="the operations">
        {() => (
          <Stack gap="sm">
            <Filters all={all} search={search} change={change} />
            {rows.length === 0 ? (
              <EmptyState
                action={
                  show === 'running' && all.length > 0 ? (
                    <Button variant="default" onClick={() => change({ show: 'ended' })}>
                      What has ended
                    </Button>
                  ) : null
                }
              >
                {nothing[show]}
              </EmptyState>
            ) : (
              <DataTable
                caption="Operations"
                table="operations"
                rows={rows}
                columns={columns}
                id={(o) => o.id}
                name={title}
                onOpen={(o) => change({ op: o.id }, false)}
                flashOn={(o) => o.status}
                card={(o) => (
                  <>
                    <Group justify="space-between" wrap="nowrap" gap="sm">
                      {link(o)}
                      <StatusBadge noun="operation" status={o.status} />
                    </Group>
                    <Text size="sm" c="dimmed">
                      {o.cluster ? `${o.cluster} · ` : ''}
                      <At operation={o} />
                    </Text>
                  </>
                )}
              />
            )}
            {show !== 'running' && show !== 'decision' && listed.hasNextPage ? (
              <Button variant="default" loading={listed.isFetchingNextPage} onClick={() => void listed.fetchNextPage()} style={{ alignSelf: 'flex-start' }}>
                Load more
              </Button>
            ) : null}
          </Stack>
        )}
      </Loaded>
      <OperationDrawer project={project} id={search.op} onClose={() => change({ op: undefined })} />
    </>
  );
}

function Filters({ all, search, change }: { all: readonly Operation[]; search: OperationsSearch; change: (part: Partial<OperationsSearch>) => void }) {
  const unique = (of: (o: Operation) => string | null | undefined) => [...new Set(all.map(of).filter((v) => v !== null && v !== undefined))].toSorted();
  const options = (values: string[], label: (v: string) => string = (v) => v) => values.map((value) => ({ value, label: label(value) }));
  return (
    <Group gap="sm">
      <Button.Group>
        {parts.map(({ part, label }) => {
          const on = (search.show ?? 'running') === part;
          const number = part === 'running' || part === 'decision' ? all.filter((o) => partOf(o) === part).length : 0;
          return (
            <Button key={part} variant="default" size="xs" aria-pressed={on} bg={on ? 'var(--ms-selected)' : undefined} onClick={() => change({ show: part === 'running' ? undefined : part })}>
              {label}
              {number > 0 ? ` ${number}` : ''}
            </Button>
          );
        })}
      </Button.Group>
      <FilterMenu label="Kind" value={search.kind} options={options(unique((o) => o.kind), kindTitle)} onChange={(kind) => change({ kind })} />
      <FilterMenu label="Cluster" value={search.cluster} options={options(unique((o) => o.cluster))} onChange={(cluster) => change({ cluster })} />
      <FilterMenu label="Who" value={search.who} options={options(unique((o) => o.requested_by), actorName)} onChange={(who) => change({ who })} />
    </Group>
  );
}

/** Where it is, or how it ended. */
function At({ operation: o }: { operation: Operation }) {
  if (o.error) return <span className={classes.error}>{o.error.message}</span>;
  if (!active(o)) return o.finished_at ? <Time at={o.finished_at} /> : <Unknown why="It has no end" />;
  const text = [progress(o), o.sentence || currentStep(o), o.percent > 0 ? `${o.percent} %` : ''].filter(Boolean).join(', ');
  return <span className={classes.at}>{text}</span>;
}

const columns: Column<Operation>[] = [
  { id: 'what', head: 'What', width: 160, cell: link },
  { id: 'cluster', head: 'Cluster', cell: (o) => o.cluster ?? <Unknown why="It is about no cluster" /> },
  { id: 'status', head: 'Status', sort: (o) => trouble(lookOf('operation', o.status).tone), cell: (o) => <StatusBadge noun="operation" status={o.status} /> },
  { id: 'at', head: 'Step or end', width: 240, cell: (o) => <At operation={o} /> },
  { id: 'took', head: 'Took', number: true, cell: (o) => <Elapsed from={o.created_at} to={o.finished_at} /> },
  { id: 'began', head: 'Began', cell: (o) => <Time at={o.created_at} /> },
  { id: 'who', head: 'Who', width: 170, cell: (o) => actorName(o.requested_by) },
];

function OperationDrawer({ project, id, onClose }: { project: string; id?: string; onClose: () => void }) {
  const query = useQuery({ ...operationQuery(project, id ?? ''), enabled: id !== undefined });
  return (
    <Drawer opened={id !== undefined} onClose={onClose} title={query.data ? title(query.data) : 'Operation'} wide>
      <Loaded query={query} things="this operation">
        {(o) => <OperationSteps project={project} operation={o} />}
      </Loaded>
    </Drawer>
  );
}
