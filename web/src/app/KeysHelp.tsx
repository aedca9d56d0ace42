import { Modal, Table } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useKeys } from '~/shared/lib/hotkeys';
import { KeyHint } from '~/shared/ui/KeyHint';
import { nouns } from './nav';

interface Props {
  opened: boolean;
  onClose: () => void;
  onOpen: () => void;
  project: string;
}

const rows: [string, string][] = [
  ['Ctrl K', 'Search or run'],
  ['?', 'This list'],
  ['j k', 'Next, previous row'],
  ['Enter', 'Open the row'],
  ['x', 'Choose the row'],
  ['.', 'Actions of the row'],
  ['f', 'Filter the list'],
  ['1 … 9', 'Tabs of a cluster'],
  ['b', 'Back up the cluster'],
  ['r', 'Restore the cluster'],
  ['e', 'Nodes as a table or drawing'],
  ['Esc', 'Close what is on top'],
];

export function KeysHelp({ opened, onClose, onOpen, project }: Props) {
  const navigate = useNavigate();
  const jumps = nouns.filter((n) => n.key);
  useKeys({
    '?': onOpen,
    ...Object.fromEntries(
      jumps.map((n) => [`g ${n.key}`, () => void navigate({ to: `/p/$project/${n.path}` as '/p/$project/clusters', params: { project } })]),
    ),
  });
  const all: [string, string][] = [...jumps.map((n): [string, string] => [`g ${n.key}`, n.label]), ...rows];
  return (
    <Modal opened={opened} onClose={onClose} title="Keyboard shortcuts" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Table>
        <Table.Tbody>
          {all.map(([keys, what]) => (
            <Table.Tr key={keys}>
              <Table.Td w={120}>
                <KeyHint keys={keys} />
                <span className="ms-visually-hidden">{keys}</span>
              </Table.Td>
              <Table.Td>{what}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}
