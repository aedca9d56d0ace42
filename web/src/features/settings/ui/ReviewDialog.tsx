import { Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { isProblem } from '~/api/problem';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { PlanText } from '~/shared/ui/PlanText';
import { Sentence } from '~/shared/ui/Sentence';
import type { Changed } from '../model';
import { settingsPlanQuery, usePatchSettings } from '../queries';

interface Props {
  project: string;
  cluster: string;
  changes: readonly Changed[];
  tag?: string;
  onClose: () => void;
  onDone: () => void;
  onStale: () => void;
}

/** Old, new and what it takes, before anything is set. */
export function ReviewDialog({ project, cluster, changes, tag, onClose, onDone, onStale }: Props) {
  const settings = Object.fromEntries(changes.map((c) => [c.parameter.name, c.reset ? null : c.to]));
  const { data: plan, error } = useQuery(settingsPlanQuery(project, cluster, settings));
  const act = usePatchSettings(project, cluster);
  const restarts = changes.some((c) => c.parameter.needs_restart);
  return (
    <ConfirmDialog
      opened
      onClose={onClose}
      title={`Change settings of ${cluster}`}
      action="Apply"
      busy={act.isPending}
      error={act.error ?? error}
      blocked={error ? error.message : plan ? undefined : 'The plan is not there yet.'}
      onConfirm={() => act.mutate({ settings, tag }, { onSuccess: onDone, onError: (e) => isProblem(e, 412) && onStale() })}
    >
      <Table aria-label="Changes">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Parameter</Table.Th>
            <Table.Th>Old</Table.Th>
            <Table.Th>New</Table.Th>
            <Table.Th>Takes</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {changes.map((c) => (
            <Table.Tr key={c.parameter.name}>
              <Table.Td>
                <code>{c.parameter.name}</code>
              </Table.Td>
              <Table.Td>{c.from}</Table.Td>
              <Table.Td>{c.to}</Table.Td>
              <Table.Td>{c.parameter.needs_restart ? 'a restart' : 'effect at once'}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {restarts ? <Sentence tone="warn">Nodes restart one after another, the primary last.</Sentence> : null}
      {plan ? <PlanText plan={plan} steps={false} /> : null}
    </ConfirmDialog>
  );
}
