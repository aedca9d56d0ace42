import { useState } from 'react';
import { Button, Group, Stack } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { isProblem } from '~/api/problem';
import type { Assertion, Assertions, Check } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { ActError } from '~/shared/ui/ErrorCard';
import { Sentence } from '~/shared/ui/Sentence';
import { MOST, placed, same } from '../model';
import { useSetAssertions, useTryAssertions } from '../queries';
import { AssertionForm } from './AssertionForm';
import classes from './Safeguards.module.css';

interface Props {
  project: string;
  cluster: string;
  kept: Assertions & { tag?: string };
  onStale: () => void;
  onClose: () => void;
}

/** The whole list, changed here and saved at once; what it says of the live data can be seen before. */
export function AssertionsDialog({ project, cluster, kept, onStale, onClose }: Props) {
  const [all, setAll] = useState<readonly Assertion[]>(kept.assertions);
  const [editing, setEditing] = useState<number | 'new' | undefined>(kept.assertions.length === 0 ? 'new' : undefined);
  const set = useSetAssertions(project, cluster);
  const tried = useTryAssertions(project, cluster);
  const change = (next: readonly Assertion[]) => {
    setAll(next);
    setEditing(undefined);
    tried.reset();
    set.reset();
  };
  const blocked = editing !== undefined ? 'One is still being written.' : same(all, kept.assertions) ? 'Nothing was changed.' : undefined;
  const save = () => set.mutate({ assertions: [...all], tag: kept.tag }, { onSuccess: onClose, onError: (e) => isProblem(e, 412) && onStale() });
  const done = (at: number | undefined) => (a: Assertion) => change(placed(all, at, a));
  return (
    <ConfirmDialog opened onClose={onClose} title={`What drills of ${cluster} prove`} action="Save assertions" size={720} busy={set.isPending} error={set.error} blocked={blocked} onConfirm={save}>
      <Stack gap="md">
        <p style={{ margin: 0 }}>
          Each drill asks these of the restored data, as the cluster’s user. Where one does not hold, the backup does not count as good. A question here: {kept.form}.
        </p>
        <ul className={classes.list} aria-label="Assertions">
          {all.map((a, n) =>
            editing === n ? (
              <li key={a.name}>
                <AssertionForm assertion={a} others={all.filter((x) => x !== a).map((x) => x.name)} onDone={done(n)} onCancel={() => setEditing(undefined)} />
              </li>
            ) : (
              <One key={a.name} assertion={a} said={tried.data?.checks[n]} locked={editing !== undefined} onEdit={() => setEditing(n)} onDelete={() => change(all.toSpliced(n, 1))} />
            ),
          )}
          {editing === 'new' ? (
            <li>
              <AssertionForm others={all.map((x) => x.name)} onDone={done(undefined)} onCancel={() => setEditing(undefined)} />
            </li>
          ) : null}
        </ul>
        {editing === undefined ? (
          <Group gap="sm">
            <Button variant="default" leftSection={<IconPlus size={16} stroke={1.75} />} disabled={all.length >= MOST} onClick={() => setEditing('new')}>
              Add assertion
            </Button>
            {all.length > 0 ? (
              <Button variant="default" loading={tried.isPending} onClick={() => tried.mutate([...all])}>
                Try on the live data
              </Button>
            ) : null}
          </Group>
        ) : null}
        {tried.data ? (
          <div role="status">
            <Sentence tone={tried.data.ok ? 'good' : 'bad'}>{tried.data.ok ? 'All hold of the data that is live.' : 'Not all hold of the data that is live.'}</Sentence>
          </div>
        ) : (
          <ActError error={tried.error} />
        )}
      </Stack>
    </ConfirmDialog>
  );
}

function One({ assertion: a, said, locked, onEdit, onDelete }: { assertion: Assertion; said?: Check; locked: boolean; onEdit: () => void; onDelete: () => void }) {
  return (
    <li className={classes.assertion}>
      <div>
        <span className={classes.name}>{a.name}</span> <span className={classes.dim}>{a.expect}</span>
        <code className={classes.query}>{a.query}</code>
        {said ? <Sentence tone={said.ok ? 'good' : 'bad'}>{said.detail}</Sentence> : null}
      </div>
      <Group gap={4} align="flex-start" wrap="nowrap">
        <Button variant="default" size="compact-sm" disabled={locked} aria-label={`Edit ${a.name}`} onClick={onEdit}>
          Edit
        </Button>
        <Button variant="default" size="compact-sm" disabled={locked} aria-label={`Delete ${a.name}`} onClick={onDelete}>
          Delete
        </Button>
      </Group>
    </li>
  );
}
