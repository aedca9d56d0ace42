import { Switch } from '@mantine/core';
import type { Cluster } from '~/api/schema';
import { ActError } from '~/shared/ui/ErrorCard';
import { LinkButton } from '~/shared/ui/LinkButton';
import { useBlocked, RoleGate } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { usePatchCluster } from '../queries';
import { Section } from './Section';
import classes from './Overview.module.css';

/** Switches act at once, and show what the server says. */
export function ProtectionCard({ project, cluster: c }: { project: string; cluster: Cluster }) {
  const patch = usePatchCluster(project, c.name);
  const why = useBlocked('admin', c.status === 'deleted' && 'It is deleted.');
  const others = c.nodes.filter((n) => n.role !== 'primary' && n.status === 'running').length;
  const failover = c.auto_failover ? (others > 0 ? `${others} ${others === 1 ? 'node' : 'nodes'} can take over` : 'no node can take over') : 'a person promotes';
  const row = (label: string, key: 'protected' | 'auto_failover', on: boolean, text: string) => (
    <div className={classes.line}>
      <span className={classes.label}>{label}</span>
      <Switch
        aria-label={label}
        checked={on}
        disabled={why !== undefined || (patch.isPending && patch.variables[key] !== undefined)}
        onChange={(event) => patch.mutate({ [key]: event.currentTarget.checked })}
        label={on ? 'On' : 'Off'}
        labelPosition="right"
      />
      <span className={classes.value}>{why ?? text}</span>
    </div>
  );
  const open = c.allow_list.length === 0;
  return (
    <Section title="Protection" order={4}>
      {row('Termination protection', 'protected', c.protected, c.protected ? 'cannot be stopped or deleted' : 'can be stopped and deleted')}
      {row('Auto-failover', 'auto_failover', c.auto_failover, failover)}
      <div className={classes.line}>
        <span className={classes.label}>Access</span>
        <div className={classes.value}>
          {open ? (
            <Sentence tone="bad">Open to every address</Sentence>
          ) : (
            <Sentence tone="good">
              {c.allow_list.length} {c.allow_list.length === 1 ? 'address or range' : 'addresses or ranges'}
            </Sentence>
          )}
        </div>
        <RoleGate needs="admin">
          <LinkButton size="compact-md" to={`/p/${encodeURIComponent(project)}/clusters/${encodeURIComponent(c.name)}/access`}>
            {open ? 'Restrict' : 'Edit'}
          </LinkButton>
        </RoleGate>
      </div>
      {(c.warnings ?? [])
        .filter((w) => !w.includes('open to every address'))
        .map((w) => (
          <div key={w} className={classes.line}>
            <Sentence tone="warn">{w.charAt(0).toUpperCase() + w.slice(1)}.</Sentence>
          </div>
        ))}
      <ActError error={patch.error} />
    </Section>
  );
}
