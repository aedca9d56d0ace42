import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { isProblem } from '~/api/problem';
import type { Cluster } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import { asSentence } from '~/shared/lib/localTimes';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { assertionsQuery } from '../queries';
import { AssertionsDialog } from './AssertionsDialog';
import { Row } from './Row';
import classes from './Safeguards.module.css';

/** What each drill asks of the restored data. */
export function AssertionsRow({ project, cluster }: { project: string; cluster: Cluster }) {
  const query = useQuery(assertionsQuery(project, cluster.name));
  const [open, setOpen] = useState(false);
  const all = query.data?.assertions;
  const action = all ? (
    <ActButton needs="admin" variant="default" size="compact-sm" onClick={() => setOpen(true)}>
      {all.length > 0 ? 'Change assertions…' : 'Add assertions…'}
    </ActButton>
  ) : null;
  const refused = isProblem(query.error, 409) ? <span className={classes.dim}>{asSentence(query.error.message)}</span> : query.error ? <Sentence tone="bad">{query.error.message}</Sentence> : null;
  return (
    <Row label="Drills prove" action={action}>
      {!all ? (
        refused
      ) : all.length === 0 ? (
        <span className={classes.dim}>That the engine starts and checks itself. No assertions of your own about the data.</span>
      ) : (
        `${count(all.length, 'assertion')} of your own: ${all.map((a) => a.name).join(', ')}.`
      )}
      {open && query.data ? <AssertionsDialog project={project} cluster={cluster.name} kept={query.data} onStale={() => void query.refetch()} onClose={() => setOpen(false)} /> : null}
    </Row>
  );
}
