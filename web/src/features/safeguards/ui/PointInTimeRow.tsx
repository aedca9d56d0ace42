import { useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import type { Cluster, PointInTime } from '~/api/schema';
import { engineTitle, enginesQuery } from '~/features/clusters';
import { inWords, momentsQuery, windowOf } from '~/features/restores';
import { count } from '~/shared/lib/bytes';
import { useClock } from '~/shared/lib/clock';
import { asSentence } from '~/shared/lib/localTimes';
import { serverNow, useNow } from '~/shared/lib/now';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Time } from '~/shared/ui/Time';
import { keepingOf } from '../model';
import { PointInTimeDialog } from './PointInTimeDialog';
import { Row } from './Row';
import classes from './Safeguards.module.css';

/** Whether any moment can be restored to, and which. */
export function PointInTimeRow({ project, cluster }: { project: string; cluster: Cluster }) {
  const query = useQuery(momentsQuery(project, cluster.name, 10_000));
  const { data: engines } = useQuery(enginesQuery(project));
  const [open, setOpen] = useState(false);
  const engine = engines?.items.find((e) => e.name === cluster.engine);
  const can = engine === undefined || engine.capabilities.includes('point_in_time');
  const p = query.data;
  if (!can && !p?.on) {
    return (
      <Row label="Points in time">
        <span className={classes.dim}>The log of {engineTitle(cluster.engine)} is not kept: it is restored to its backups.</span>
      </Row>
    );
  }
  const action = p ? (
    <ActButton needs="admin" variant="default" size="compact-sm" blocked={!p.on && cluster.status !== 'running' && `It is ${cluster.status}.`} onClick={() => setOpen(true)}>
      {p.on ? 'Change points in time…' : 'Turn on points in time…'}
    </ActButton>
  ) : null;
  return (
    <Row label="Points in time" action={action}>
      {p ? <Standing kept={p} /> : query.error ? <Sentence tone="bad">{query.error.message}</Sentence> : null}
      {open && p ? <PointInTimeDialog project={project} cluster={cluster.name} kept={p} tag={p.tag} onStale={() => void query.refetch()} onClose={() => setOpen(false)} /> : null}
    </Row>
  );
}

function Standing({ kept: p }: { kept: PointInTime }) {
  useNow(10_000);
  const clock = useClock();
  const now = serverNow();
  const window = windowOf(p);
  const { tone, word } = keepingOf(p);
  return (
    <>
      <Sentence tone={tone}>
        {word}
        {p.on ? `: the log is kept ${count(p.keep_days ?? 7, 'day')}. ` : window ? '. ' : ': only the moments of backups can be restored. '}
        {window ? (
          <>
            Any second from {inWords(window.from, now, clock)} to {inWords(window.to, now, clock)} can be restored
            {window.gaps.length > 0 ? `, but for ${window.gaps.length === 1 ? 'a gap' : `${window.gaps.length} gaps`}` : ''}.
          </>
        ) : p.on ? (
          'The window begins with the next good backup.'
        ) : (
          ''
        )}
      </Sentence>
      {p.trouble ? <Sentence tone="warn">{asSentence(p.trouble)}</Sentence> : null}
      {p.on ? (
        <ul className={classes.places} aria-label="Where the log is stored">
          {p.storages.map((s) => (
            <li key={s.storage}>
              <Sentence tone={s.trouble ? 'bad' : s.to ? 'good' : 'busy'}>
                {s.storage}: {s.to ? <>stored up to <Time at={s.to} as="seconds" /></> : 'nothing stored yet'}
                {s.trouble ? `. ${asSentence(s.trouble)}` : ''}
              </Sentence>
            </li>
          ))}
        </ul>
      ) : null}
      {p.breaks.length > 0 ? (
        <details>
          <summary>{count(p.breaks.length, 'interruption')} of the log</summary>
          <ul className={classes.places}>
            {p.breaks.toReversed().map((b) => (
              <li key={b.at + b.sentence}>
                <Time at={b.at} />: {asSentence(b.sentence)}
              </li>
            ))}
          </ul>
        </details>
      ) : null}
    </>
  );
}
