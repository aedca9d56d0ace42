import { IconCircleDashed, IconCircleFilled, IconCircleX, IconLoader2, type TablerIcon } from '@tabler/icons-react';
import type { Cluster, Group, GroupBackup } from '~/api/schema';
import { useClock } from '~/shared/lib/clock';
import { serverNow, useNow } from '~/shared/lib/now';
import { moment } from '~/shared/lib/time';
import { StatusIcon } from '~/shared/ui/StatusBadge';
import { lanesOf, partOf, type PartState } from '../model';
import classes from './Groups.module.css';

const looks: Record<PartState, { icon: TablerIcon; ink: string; word: string }> = {
  there: { icon: IconCircleFilled, ink: 'good', word: 'part there' },
  running: { icon: IconLoader2, ink: 'busy', word: 'being made' },
  failed: { icon: IconCircleX, ink: 'bad-text', word: 'failed' },
  missing: { icon: IconCircleDashed, ink: 'idle', word: 'part missing: not a group backup' },
};

/** A lane a member under one axis; an upright line where all lanes have their part. The table below says the same. */
export function GroupLanes({ group, members, backups }: { group: Group; members: readonly Cluster[]; backups: readonly GroupBackup[] }) {
  const clock = useClock();
  useNow(60_000);
  const now = serverNow();
  const { from, points } = lanesOf(backups, now);
  return (
    <div className={classes.lanes} role="group" aria-label={`Members of ${group.name}`}>
      {group.members.map((name) => {
        const cluster = members.find((c) => c.name === name);
        return (
          <div key={name} style={{ display: 'contents' }}>
            <span className={classes.name}>
              {cluster ? <StatusIcon noun="cluster" status={cluster.status} /> : null}
              {name}
            </span>
            <span className={classes.lane}>
              <span className={classes.rail} />
              {points.map((p) => {
                const state = partOf(p.backup, name);
                const { icon: Icon, ink, word } = looks[state];
                const label = `${name}, ${moment(p.at, now, clock)}: ${word}`;
                return (
                  <span key={p.backup.id}>
                    {p.whole ? <span className={classes.whole} style={{ left: `${p.place * 100}%` }} /> : null}
                    <span className={classes.dot} style={{ left: `${p.place * 100}%` }} role="img" aria-label={label} title={label}>
                      <Icon size={16} stroke={1.75} aria-hidden color={`var(--ms-${ink}-ink)`} />
                    </span>
                  </span>
                );
              })}
            </span>
          </div>
        );
      })}
      {points.length > 0 ? (
        <>
          <span />
          <span className={classes.axis} aria-hidden>
            <span>{moment(from, now, clock)}</span>
            <span>now</span>
          </span>
        </>
      ) : null}
    </div>
  );
}
