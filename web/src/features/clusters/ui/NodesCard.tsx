import { Anchor } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { Cluster } from '~/api/schema';
import { StatusBadge } from '~/shared/ui/StatusBadge';
import { Lag } from '~/shared/ui/Lag';
import { Section } from './Section';
import classes from './Overview.module.css';

export function NodesCard({ project, cluster: c }: { project: string; cluster: Cluster }) {
  return (
    <Section title="Nodes" order={3}>
      <ul className={classes.nodes}>
        {c.nodes.map((n) => (
          <li key={n.id} className={classes.node}>
            <Anchor
              className={classes.nodeName}
              renderRoot={(props) => <Link to="/p/$project/clusters/$cluster/nodes" params={{ project, cluster: c.name }} search={{ node: n.name }} {...props} />}
            >
              {n.name}
            </Anchor>
            <span>{n.role === 'primary' ? 'Primary' : 'Replica'}</span>
            <StatusBadge noun="node" status={n.status} observedAt={n.observed_at} />
            {n.role === 'primary' ? null : (
              <span style={{ color: 'var(--ms-dim)' }}>
                <Lag node={n} />
              </span>
            )}
          </li>
        ))}
      </ul>
    </Section>
  );
}
