import { useCallback, useEffect, useRef, useState } from 'react';
import { ActionIcon, Button, NativeSelect, Stack, Text } from '@mantine/core';
import { IconTextDecrease, IconTextIncrease } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useConnection } from '~/api/connection';
import type { Cluster } from '~/api/schema';
import { clusterQuery } from '~/features/clusters';
import { useMay, useStanding } from '~/shared/lib/role';
import { useTitle } from '~/shared/lib/title';
import { EmptyState } from '~/shared/ui/EmptyState';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { Time } from '~/shared/ui/Time';
import { blocked, endSentence, nodeOf } from '../model/words';
import { TouchKeys } from './TouchKeys';
import { useConsole, type State } from './useConsole';
import classes from './TerminalPage.module.css';

const ROUTE = '/shell/p/$project/clusters/$cluster/terminal';
const SIZES = [11, 12, 13, 14, 16, 18, 20];

/** Talk to the engine. */
export function TerminalPage() {
  const { project, cluster: name } = useParams({ from: ROUTE });
  useTitle(name, 'Terminal');
  const { data: cluster } = useQuery(clusterQuery(project, name));
  const { role } = useStanding();
  const admin = useMay('admin');
  if (!cluster) return <Waiting />;
  if (!admin) return <EmptyState>The terminal needs the role admin; yours is {role}.</EmptyState>;
  return <Desk project={project} cluster={cluster} />;
}

function Desk({ project, cluster }: { project: string; cluster: Cluster }) {
  const search = useSearch({ from: ROUTE });
  const navigate = useNavigate();
  const [size, setSize] = useState(13);
  const last = useRef<HTMLDivElement>(null);
  const leave = useCallback(() => last.current?.querySelector('button')?.focus(), []);
  const host = useRef<HTMLDivElement>(null);
  const shell = useConsole(host, size, leave);
  const { state } = shell;
  const node = nodeOf(cluster, search.node);
  const open = () => node && shell.open({ project, cluster: cluster.name, node: node.name });
  const isOpen = state.is === 'open' || state.is === 'opening';
  // Who ended it by hand goes on where it is opened again.
  useEffect(() => {
    if (state.is === 'ended' && document.activeElement === document.body) leave();
  }, [state.is, leave]);
  const choose = (name: string) => void navigate({ to: '.', search: { node: name }, replace: true });
  return (
    <Stack gap="sm">
      <div className={classes.bar}>
        <NativeSelect
          aria-label="Node"
          value={node?.name ?? ''}
          disabled={isOpen}
          data={cluster.nodes.map((n) => ({ value: n.name, label: `${n.name} · ${n.role === 'primary' ? 'primary, writes go here' : n.role}` }))}
          onChange={(e) => choose(e.currentTarget.value)}
        />
        <div className={classes.state}>
          <Standing state={state} />
        </div>
        {state.is === 'closed' ? null : (
          <>
            <Size size={size} to={setSize} />
            <Button variant="default" onClick={shell.copy}>
              Copy all
            </Button>
            <Button variant="default" onClick={shell.clear} disabled={state.is !== 'open'}>
              Clear
            </Button>
          </>
        )}
        <div ref={last}>
          {isOpen ? (
            <Button variant="default" onClick={shell.close}>
              End session
            </Button>
          ) : (
            <ActButton needs="admin" blocked={blocked(cluster, node)} onClick={open}>
              {state.is === 'closed' ? 'Open console' : 'Open again'}
            </ActButton>
          )}
        </div>
      </div>
      <News state={state} node={node?.name} />
      <div ref={host} className={classes.screen} data-empty={state.is === 'closed' || undefined} data-testid="terminal-screen" />
      {state.is === 'open' ? <TouchKeys press={shell.keys} /> : null}
      <Footer state={state} />
    </Stack>
  );
}

function Size({ size, to }: { size: number; to: (size: number) => void }) {
  const at = SIZES.indexOf(size);
  const icon = { size: 16, stroke: 1.75 };
  const step = (by: number) => to(SIZES[at + by] ?? size);
  return (
    <>
      <ActionIcon variant="default" size={36} aria-label="Smaller text" disabled={at <= 0} onClick={() => step(-1)}>
        <IconTextDecrease {...icon} />
      </ActionIcon>
      <ActionIcon variant="default" size={36} aria-label="Larger text" disabled={at >= SIZES.length - 1} onClick={() => step(1)}>
        <IconTextIncrease {...icon} />
      </ActionIcon>
    </>
  );
}

function Standing({ state }: { state: State }) {
  if (state.is === 'opening') return <>Opening…</>;
  if (state.is !== 'open') return null;
  return (
    <>
      {state.opened.writable ? null : 'A replica: it takes no writes. '}
      {state.inTransaction ? 'A transaction is open. ' : null}
      Open on {state.opened.node} since <Time at={state.since} as="wall" />
    </>
  );
}

/** How it ended; and, where the server was gone, that it is there again. */
function News({ state, node }: { state: State; node: string | undefined }) {
  const { link } = useConnection();
  if (state.is !== 'ended') return null;
  const away = ['lost', 'server_stops'].includes(state.ended.code);
  if (away && link === 'offline') return <Sentence tone="unknown">{endSentence(state.ended)} It can be opened again when Mainstay answers.</Sentence>;
  if (away) return <Sentence tone="warn">{endSentence(state.ended)} Open it again to go on{node ? ` on ${node}` : ''}.</Sentence>;
  const tone = state.ended.code === 'closed' || state.ended.code === 'idle' ? 'idle' : 'warn';
  return <Sentence tone={tone}>{endSentence(state.ended)}</Sentence>;
}

function Footer({ state }: { state: State }) {
  if (state.is === 'closed') {
    return (
      <Text c="dimmed" maw="72ch">
        A console for the engine, as the cluster’s own user: no shell of the machine, no files. Its start and its end are in the audit log; what is typed is
        not. An open transaction ends with it.
      </Text>
    );
  }
  const user = state.is === 'open' ? ` as ${state.opened.user}` : '';
  return (
    <Text c="dimmed" size="sm" maw="100ch">
      Console of the engine{user}. Start and end are in the audit log. Press F6 to leave the terminal; Ctrl C cancels a statement. Leaving this page ends the
      session.
    </Text>
  );
}
