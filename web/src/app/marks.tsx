import { useQuery } from '@tanstack/react-query';
import { alertsQuery } from '~/features/alerts';
import { clustersQuery } from '~/features/clusters';
import { recentOperationsQuery } from '~/features/operations';
import { projectQuery } from '~/features/projects';
import { storagesQuery, unwell } from '~/features/storages';
import { count } from '~/shared/lib/bytes';
import { active } from '~/shared/ui/OperationBar';
import classes from './NavBar.module.css';

/** What stands behind a noun in the navigation: a number is work or trouble, and `trouble` says in words what needs a person. */
export function Mark({ number, trouble }: { number?: number; trouble?: string }) {
  if (trouble) {
    return (
      <span className={classes.trouble}>
        <span aria-hidden>!{number || ''}</span>
        <span className="ms-visually-hidden">, {trouble}</span>
      </span>
    );
  }
  return number ? <span className={classes.count}>{number}</span> : null;
}

/** Clusters alone are counted whole. */
export function ClustersMark({ project }: { project: string }) {
  return <Mark number={useQuery(clustersQuery(project)).data?.items.length} />;
}

export function StoragesMark({ project }: { project: string }) {
  const bad = useQuery(storagesQuery(project)).data?.items.filter(unwell).length ?? 0;
  return bad > 0 ? <Mark number={bad} trouble={`${count(bad, 'storage')} not well`} /> : null;
}

/** What runs is work; what is stuck waits for somebody. */
export function OperationsMark({ project }: { project: string }) {
  const running = useQuery(recentOperationsQuery(project)).data?.items.filter(active) ?? [];
  const stuck = running.filter((o) => o.status === 'stuck').length;
  return stuck > 0 ? <Mark number={stuck} trouble={`${count(stuck, 'operation')} to decide about`} /> : <Mark number={running.length} />;
}

export function AlertsMark({ project }: { project: string }) {
  const open = useQuery(alertsQuery(project)).data?.items.filter((a) => a.state !== 'cleared').length ?? 0;
  return open > 0 ? <Mark number={open} trouble={count(open, 'alert')} /> : null;
}

/** Without the key nothing in the storages can be read when the machine is lost. */
export function RecoveryMark({ project }: { project: string }) {
  const { data } = useQuery(projectQuery(project));
  return data && !data.recovery_key_exported ? <Mark trouble="no recovery key exported" /> : null;
}
