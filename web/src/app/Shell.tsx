import { useEffect, useMemo, useState } from 'react';
import { AppShell, Burger, Button, Group } from '@mantine/core';
import { useDisclosure, useMediaQuery } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Outlet, useLocation, useParams } from '@tanstack/react-router';
import { follow } from '~/api/events';
import { meQuery } from '~/features/auth';
import { prefer } from '~/shared/lib/preferences';
import { StandingContext } from '~/shared/lib/role';
import { KeyHint } from '~/shared/ui/KeyHint';
import { Breadcrumbs } from './Breadcrumbs';
import { CommandPalette } from './CommandPalette';
import { openPalette } from './palette';
import { KeysHelp } from './KeysHelp';
import { LiveIndicator } from './LiveIndicator';
import { NavBar } from './NavBar';
import { OfflineBar } from './OfflineBar';
import { OperationsTray } from './OperationsTray';
import { ProjectSwitcher } from './ProjectSwitcher';
import { SessionEnd } from './SessionEnd';
import { SignInAgain } from './SignInAgain';
import { UserMenu } from './UserMenu';
import { useWatch } from './useWatch';
import classes from './Shell.module.css';

/** What stands around every page. */
export function Shell() {
  const { project = 'default' } = useParams({ strict: false });
  const { data: me } = useQuery(meQuery);
  const [menu, { toggle, close }] = useDisclosure(false);
  const wide = useMediaQuery('(min-width: 992px)', true);
  const [help, setHelp] = useState(false);
  const { pathname } = useLocation();
  useStream(project);
  useWatch(project);
  useEffect(close, [pathname, close]);
  const standing = useMemo(() => {
    const role = me?.roles.find((r) => r.project === project)?.role ?? 'viewer';
    return { role, administrator: me?.administrator ?? false, project };
  }, [me, project]);
  return (
    <StandingContext value={standing}>
      <a href="#content" className={classes.skip}>
        Skip to content
      </a>
      <AppShell header={{ height: 48 }} navbar={{ width: 216, breakpoint: 992, collapsed: { mobile: !menu } }} padding={0} transitionDuration={0}>
        <AppShell.Header className={classes.header}>
          <Group h="100%" px={{ base: 12, sm: 16 }} gap="sm" wrap="nowrap">
            {wide ? null : <Burger opened={menu} onClick={toggle} size="sm" aria-label="Menu" aria-expanded={menu} />}
            <div className={classes.crumbs}>
              <Breadcrumbs project={project} />
            </div>
            <Button
              variant="default"
              className={classes.search}
              leftSection={<IconSearch size={16} stroke={1.75} aria-hidden />}
              rightSection={wide ? <KeyHint keys="Ctrl K" /> : null}
              onClick={openPalette}
              aria-label={wide ? undefined : 'Search or run'}
              data-wide={wide || undefined}
            >
              {wide ? 'Search or run' : ''}
            </Button>
            <LiveIndicator />
            <OperationsTray project={project} />
            <UserMenu onKeys={() => setHelp(true)} />
          </Group>
        </AppShell.Header>
        <AppShell.Navbar className={classes.navbar} aria-label="Main">
          <ProjectSwitcher project={project} />
          <NavBar project={project} />
        </AppShell.Navbar>
        <AppShell.Main>
          <OfflineBar project={project} />
          <SessionEnd />
          <div id="content" tabIndex={-1} className={classes.content}>
            <Outlet />
          </div>
        </AppShell.Main>
      </AppShell>
      <CommandPalette project={project} onKeys={() => setHelp(true)} />
      <KeysHelp opened={help} onClose={() => setHelp(false)} onOpen={() => setHelp(true)} project={project} />
      <SignInAgain />
    </StandingContext>
  );
}

/** The stream of the project that is looked at; where the page was left off is kept for the next visit. */
function useStream(project: string) {
  const client = useQueryClient();
  useEffect(() => {
    prefer({ project });
    return follow(client, project);
  }, [client, project]);
}
