import { useState } from 'react';
import { Button, Checkbox } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { isProblem } from '~/api/problem';
import type { AllowEntry } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { PlanText } from '~/shared/ui/PlanText';
import { Sentence } from '~/shared/ui/Sentence';
import { allows, howMany, type Changes } from '../model';
import { allowPlanQuery, useSetAllowList } from '../queries';

interface Props {
  project: string;
  cluster: string;
  list: readonly AllowEntry[];
  changed: Changes;
  tag?: string;
  address?: string;
  onAdd: () => void;
  onClose: () => void;
  onStale: () => void;
}

/** What is added, removed, and whom it would lock out; then all of it at once. */
export function ApplyDialog({ project, cluster, list, changed, tag, address, onAdd, onClose, onStale }: Props) {
  const [sure, setSure] = useState(false);
  const { data: plan, error } = useQuery(allowPlanQuery(project, cluster, list));
  const act = useSetAllowList(project, cluster);
  const lockedOut = address !== undefined && !allows(list, address);
  const line = (title: string, entries: readonly AllowEntry[]) =>
    entries.length > 0 ? (
      <div>
        <strong>{title}</strong>
        <ul style={{ margin: 0, paddingLeft: 20 }}>
          {entries.map((e) => (
            <li key={e.cidr}>
              <code>{e.cidr}</code> {e.note}
            </li>
          ))}
        </ul>
      </div>
    ) : null;
  const blocked = error ? error.message : lockedOut && !sure ? 'Your own address is not in the list.' : undefined;
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Change who may connect to ${cluster}`}
      action={`Apply ${howMany(changed)} ${howMany(changed) === 1 ? 'change' : 'changes'}`}
      busy={act.isPending}
      error={act.error ?? error}
      blocked={blocked}
      onConfirm={() => act.mutate({ list, tag }, { onSuccess: onClose, onError: (e) => isProblem(e, 412) && onStale() })}
    >
      {line('Added', changed.added)}
      {line('Removed', changed.removed)}
      {line('Another note', changed.noted)}
      {list.length === 0 ? (
        <Sentence tone="bad" banner>
          The list is empty then: {cluster} is open to every address.
        </Sentence>
      ) : null}
      {plan ? <PlanText plan={plan} steps={false} /> : null}
      {lockedOut ? (
        <>
          <Sentence
            tone="warn"
            banner
            action={
              <Button variant="default" size="compact-sm" onClick={onAdd}>
                Add it
              </Button>
            }
          >
            Your own address {address} is not in the list: you would lock yourself out.
          </Sentence>
          <Checkbox label="I know, and connect from elsewhere." checked={sure} onChange={(e) => setSure(e.currentTarget.checked)} />
        </>
      ) : null}
    </ConfirmDialog>
  );
}
