import { Card } from '@mantine/core';
import type { Cluster } from '~/api/schema';
import { AssertionsRow } from './AssertionsRow';
import { PointInTimeRow } from './PointInTimeRow';
import { PolicyRow } from './PolicyRow';
import classes from './Safeguards.module.css';

/** What holds for all backups of a cluster: any moment or not, where they are read, what they have to prove. */
export function SafeguardsCard({ project, cluster }: { project: string; cluster: Cluster }) {
  return (
    <Card withBorder padding="md" radius="md" component="section" className={classes.card} aria-label="How backups are kept and proved">
      <h2 className={classes.title}>How backups are kept and proved</h2>
      <ul className={classes.list}>
        <PointInTimeRow project={project} cluster={cluster} />
        <PolicyRow project={project} cluster={cluster} />
        <AssertionsRow project={project} cluster={cluster} />
      </ul>
    </Card>
  );
}
