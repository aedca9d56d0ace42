import { Group } from '@mantine/core';
import type { Cluster } from '~/api/schema';
import { ActButton } from '~/shared/ui/RoleGate';
import { protection } from '../model';
import { useDialog } from './dialogContext';
import { Section } from './Section';

/** What interrupts or destroys; each says first what it does. */
export function CareCard({ cluster: c }: { project: string; cluster: Cluster }) {
  const open = useDialog();
  return (
    <Section title="Needs care" order={5}>
      <Group gap="sm">
        <ActButton needs="admin" variant="default" blocked={c.nodes.length < 2 && 'Needs a primary and another node.'} onClick={() => open({ what: 'resync' })}>
          Resync…
        </ActButton>
        {c.status === 'stopped' ? (
          <ActButton needs="admin" variant="default" onClick={() => open({ what: 'start' })}>
            Start
          </ActButton>
        ) : (
          <ActButton needs="admin" variant="default" blocked={protection(c)} onClick={() => open({ what: 'stop' })}>
            Stop…
          </ActButton>
        )}
        <ActButton needs="admin" variant="default" c={c.protected ? undefined : 'var(--ms-bad-text-ink)'} blocked={protection(c)} onClick={() => open({ what: 'delete' })}>
          Delete cluster…
        </ActButton>
      </Group>
    </Section>
  );
}
