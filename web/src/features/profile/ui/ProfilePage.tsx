import { Card, Stack, Switch, Text, useMantineColorScheme, SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { meQuery } from '~/features/auth';
import { prefer, usePreference } from '~/shared/lib/preferences';
import { useTitle } from '~/shared/lib/title';
import { Loaded } from '~/shared/ui/Loaded';
import { PageHead } from '~/shared/ui/PageHead';
import { Sentence } from '~/shared/ui/Sentence';
import { PasswordCard } from './PasswordCard';
import { PersonCard } from './PersonCard';
import { SessionsCard } from './SessionsCard';
import classes from './Profile.module.css';

/** Who I am here, where I am signed in, and how I like the page. */
export function ProfilePage() {
  useTitle('Profile');
  const query = useQuery(meQuery);
  return (
    <>
      <PageHead title="Profile" />
      <Loaded query={query} things="your profile">
        {(me) => (
          <div className={classes.cards}>
            {me.kind === 'user' ? (
              <>
                <PersonCard key={me.id} me={me} />
                <PasswordCard />
                <SessionsCard />
              </>
            ) : (
              <Sentence tone="idle">You are known by a token, {me.name}: it has no password and no sessions.</Sentence>
            )}
            <Looks />
          </div>
        )}
      </Loaded>
    </>
  );
}

const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Kept in this browser alone. */
function Looks() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [compact, hour12, singleKeys, screenReader] = [usePreference('compact'), usePreference('hour12'), usePreference('singleKeys'), usePreference('screenReader')];
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="How the page looks and works">
      <h2 className={classes.title}>How the page looks and works</h2>
      <Stack gap="md">
        <SegmentedControl
          aria-label="Theme"
          value={colorScheme}
          onChange={(next) => setColorScheme(next as typeof colorScheme)}
          data={[
            { value: 'light', label: 'Light' },
            { value: 'dark', label: 'Dark' },
            { value: 'auto', label: 'As the system' },
          ]}
        />
        <Switch label="Compact rows" checked={compact} onChange={(e) => prefer({ compact: e.currentTarget.checked })} />
        <Switch label="24-hour clock" checked={!hour12} onChange={(e) => prefer({ hour12: !e.currentTarget.checked })} />
        <Switch label="Single-key shortcuts" description="g c, j, k, b and the like" checked={singleKeys} onChange={(e) => prefer({ singleKeys: e.currentTarget.checked })} />
        <Switch label="Screen-reader mode of the terminal" checked={screenReader} onChange={(e) => prefer({ screenReader: e.currentTarget.checked })} />
        <Text size="sm" c="dimmed">
          Times are shown in {zone}, the zone of this browser. What stands here is kept in this browser.
        </Text>
      </Stack>
    </Card>
  );
}
