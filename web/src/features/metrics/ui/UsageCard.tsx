import { Anchor, Card, Group } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { bytes, percent } from '~/shared/lib/bytes';
import { Unknown } from '~/shared/ui/Time';
import { latest, toFull } from '../model';
import { useCurves } from '../queries';
import classes from './MetricsPage.module.css';

/** What the whole cluster uses now, in a line: the most of any node, and all connections. */
export function UsageCard({ project, cluster }: { project: string; cluster: string }) {
  const { data: curves } = useCurves(project, cluster);
  const nodes = curves?.nodes ?? [];
  const known = (metric: string) => (curves ? nodes.map((n) => latest(curves, n, metric)).filter((v): v is number => v !== null) : []);
  const most = (metric: string) => (known(metric).length > 0 ? Math.max(...known(metric)) : undefined);
  const connections = known('connections');
  const full = toFull(nodes);
  const facts: [string, string | undefined][] = [
    ['CPU', say(most('cpu_percent'), percent)],
    ['Memory', say(most('memory_bytes'), bytes)],
    ['Disk', say(most('disk_percent'), percent)],
    ['Connections', connections.length > 0 ? String(connections.reduce((sum, n) => sum + n, 0)) : undefined],
  ];
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="What it uses" style={{ '--order': 4 }}>
      <Group gap="lg" justify="space-between">
        <dl className={classes.facts}>
          {facts.map(([label, value]) => (
            <div key={label} className={classes.fact}>
              <dt>{label}</dt>
              <dd>
                {value ?? <Unknown why="No measurement yet" />}
                {label === 'Disk' && full ? <span className={classes.dim}> ({full})</span> : null}
              </dd>
            </div>
          ))}
        </dl>
        <Anchor size="sm" renderRoot={(props) => <Link to="/p/$project/clusters/$cluster/metrics" params={{ project, cluster }} {...props} />}>
          Metrics
        </Anchor>
      </Group>
    </Card>
  );
}

const say = (n: number | undefined, format: (n: number) => string) => (n === undefined ? undefined : format(n));
