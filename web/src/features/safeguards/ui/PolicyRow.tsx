import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import type { Cluster } from '~/api/schema';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { policyText } from '../model';
import { policyQuery } from '../queries';
import { PolicyDialog } from './PolicyDialog';
import { Row } from './Row';

/** Where backups are read from, and what always stays. */
export function PolicyRow({ project, cluster }: { project: string; cluster: Cluster }) {
  const query = useQuery(policyQuery(project, cluster.name));
  const [open, setOpen] = useState(false);
  const p = query.data;
  const action = p ? (
    <ActButton needs="admin" variant="default" size="compact-sm" onClick={() => setOpen(true)}>
      Change rules…
    </ActButton>
  ) : null;
  return (
    <Row label="Rules" action={action}>
      {p ? policyText(p) : query.error ? <Sentence tone="bad">{query.error.message}</Sentence> : null}
      {open && p ? <PolicyDialog project={project} cluster={cluster.name} policy={p} tag={p.tag} onStale={() => void query.refetch()} onClose={() => setOpen(false)} /> : null}
    </Row>
  );
}
