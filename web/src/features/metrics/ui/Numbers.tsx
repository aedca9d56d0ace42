import { Table } from '@mantine/core';
import type { Curves, NodeCurves } from '~/api/schema';
import { Unknown } from '~/shared/ui/Time';
import { metrics, summary } from '../model';

/** The same as the charts, for who would rather read: now, and the highest of the time shown. */
export function Numbers({ curves, nodes }: { curves: Curves; nodes: readonly NodeCurves[] }) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table aria-label="Values of each node">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Node</Table.Th>
            {metrics.map((m) => (
              <Table.Th key={m.name}>{m.title}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {nodes.map((node) => (
            <Table.Tr key={node.id}>
              <Table.Th scope="row">{node.name}</Table.Th>
              {metrics.map((m) => {
                const { now, highest } = summary(curves, node, m.name);
                return (
                  <Table.Td key={m.name}>
                    {now === null ? <Unknown why="Not known now" /> : m.format(now)}
                    {highest === null ? null : <span style={{ color: 'var(--ms-dim)' }}>, highest {m.format(highest)}</span>}
                  </Table.Td>
                );
              })}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
