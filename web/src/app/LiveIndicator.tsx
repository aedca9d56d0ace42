import { Button, Popover, Stack, Text, UnstyledButton } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { reconnect } from '~/api/events';
import { useConnection } from '~/api/connection';
import { wall } from '~/shared/lib/time';
import { usePreference } from '~/shared/lib/preferences';
import { Time } from '~/shared/ui/Time';
import classes from './LiveIndicator.module.css';

/** Whether what is seen is what is. */
export function LiveIndicator() {
  const { link, heardAt, lostAt } = useConnection();
  const hour12 = usePreference('hour12');
  const client = useQueryClient();
  const words = {
    connecting: 'Connecting…',
    live: 'Live',
    polling: 'Every few seconds',
    reconnecting: 'Reconnecting…',
    offline: `Offline since ${lostAt ? wall(lostAt, { hour12 }, true) : ''}`,
  };
  const now = () => {
    reconnect();
    void client.invalidateQueries();
  };
  return (
    <Popover width={280} position="bottom-end" withinPortal>
      <Popover.Target>
        <UnstyledButton className={classes.button} data-link={link} aria-label={`Connection: ${words[link]}`}>
          <span className={classes.dot} aria-hidden />
          <span className={classes.word}>{words[link]}</span>
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="sm">
          <Text size="sm">
            Last heard from the server at <Time at={heardAt} as="seconds" />.
          </Text>
          {link === 'polling' ? <Text size="sm">This server sends no events: the page asks it every few seconds.</Text> : null}
          <Button variant="default" onClick={now}>
            Reconnect now
          </Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
