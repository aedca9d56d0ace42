import { Button, Card } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { ActError } from '~/shared/ui/ErrorCard';
import { Loaded } from '~/shared/ui/Loaded';
import { Time } from '~/shared/ui/Time';
import { browserName } from '../model';
import { sessionsQuery, useEndOthers, useEndSession } from '../queries';
import classes from './Profile.module.css';

/** Where I am signed in. */
export function SessionsCard() {
  const query = useQuery(sessionsQuery);
  const end = useEndSession();
  const others = useEndOthers();
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="Sessions">
      <h2 className={classes.title}>Sessions</h2>
      <Loaded query={query} things="your sessions">
        {({ items }) => (
          <>
            <ul className={classes.list}>
              {items.map((s) => (
                <li key={s.id} className={classes.row}>
                  <span className={classes.grow}>
                    {browserName(s.browser)}
                    <span className={classes.detail}>
                      {s.address} · {s.current ? 'this one' : <Time at={s.last_seen_at} as="age" />}
                    </span>
                  </span>
                  {s.current ? null : (
                    <Button variant="default" size="compact-sm" loading={end.isPending && end.variables === s.id} onClick={() => end.mutate(s.id)} aria-label={`End, ${browserName(s.browser)} at ${s.address}`}>
                      End
                    </Button>
                  )}
                </li>
              ))}
            </ul>
            <ActError error={end.error ?? others.error} />
            {items.some((s) => !s.current) ? (
              <Button variant="default" loading={others.isPending} onClick={() => others.mutate()} style={{ alignSelf: 'flex-start' }}>
                End all others
              </Button>
            ) : null}
          </>
        )}
      </Loaded>
    </Card>
  );
}
