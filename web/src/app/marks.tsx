import { useQuery } from '@tanstack/react-query';
import { clustersQuery } from '~/features/clusters';
import classes from './NavBar.module.css';

/** What stands behind a noun in the navigation: a number is work or trouble, and `trouble` says in words what needs a person. */
export function Mark({ count, trouble }: { count?: number; trouble?: string }) {
  if (trouble) {
    return (
      <span className={classes.trouble}>
        <span aria-hidden>!{count || ''}</span>
        <span className="ms-visually-hidden">, {trouble}</span>
      </span>
    );
  }
  return count ? <span className={classes.count}>{count}</span> : null;
}

/** Clusters alone are counted whole. */
export function ClustersMark({ project }: { project: string }) {
  return <Mark count={useQuery(clustersQuery(project)).data?.items.length} />;
}
