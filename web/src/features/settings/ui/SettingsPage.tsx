import { useState } from 'react';
import { Button, Group, Stack, Switch, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Parameter } from '~/api/schema';
import { clusterQuery } from '~/features/clusters';
import { SafeguardsCard } from '~/features/safeguards';
import { count } from '~/shared/lib/bytes';
import { useMay } from '~/shared/lib/role';
import { useTitle } from '~/shared/lib/title';
import { EmptyState } from '~/shared/ui/EmptyState';
import { ErrorCard } from '~/shared/ui/ErrorCard';
import { ActButton } from '~/shared/ui/RoleGate';
import { Waiting } from '~/shared/ui/Skeletons';
import { useLeaveGuard } from '~/shared/ui/useLeaveGuard';
import { changed, fault } from '../model';
import { settingsQuery } from '../queries';
import { ParameterRow } from './ParameterRow';
import { ReviewDialog } from './ReviewDialog';
import classes from './SettingsPage.module.css';

/** How is the engine tuned? */
export function SettingsPage() {
  const { project, cluster } = useParams({ from: '/shell/p/$project/clusters/$cluster/settings' });
  useTitle(cluster, 'Settings');
  const query = useQuery(settingsQuery(project, cluster));
  const { data: it } = useQuery(clusterQuery(project, cluster));
  if (query.isPending) return <Waiting />;
  if (!query.data) return <ErrorCard error={query.error} things="the settings" retry={() => void query.refetch()} />;
  return (
    <Stack gap="lg">
      <Editor project={project} cluster={cluster} {...query.data} reload={() => void query.refetch()} />
      {it ? <SafeguardsCard project={project} cluster={it} /> : null}
    </Stack>
  );
}

interface Props {
  project: string;
  cluster: string;
  parameters: Parameter[];
  settings: Record<string, string>;
  tag?: string;
  reload: () => void;
}

function Editor({ project, cluster, parameters, settings, tag, reload }: Props) {
  const [draft, setDraft] = useState<Readonly<Record<string, string | null>>>({});
  const [text, setText] = useState('');
  const [only, setOnly] = useState(false);
  const [reviewing, setReviewing] = useState(false);
  const admin = useMay('admin');
  const changes = changed(parameters, settings, draft);
  const faults = changes.filter((c) => !c.reset && fault(c.parameter, c.to));
  const restarts = changes.filter((c) => c.parameter.needs_restart).length;
  const guard = useLeaveGuard(reviewing ? 0 : changes.length);
  const q = text.toLowerCase();
  const shown = parameters.filter(
    (p) => (!q || `${p.name} ${p.description}`.toLowerCase().includes(q)) && (!only || p.name in settings || changes.some((c) => c.parameter === p)),
  );
  const summary = faults.length > 0 ? `${count(faults.length, 'field')} ${faults.length === 1 ? 'needs' : 'need'} a change` : `${count(changes.length, 'change')}${restarts > 0 ? `, ${restarts} ${restarts === 1 ? 'needs' : 'need'} a restart` : ''}`;
  const review = () => {
    const [first] = faults;
    if (first) document.getElementById(`parameter-${first.parameter.name}`)?.focus();
    else setReviewing(true);
  };
  return (
    <Stack gap="md">
      <Group justify="space-between" gap="sm" className={classes.bar}>
        <Group gap="sm">
          <TextInput aria-label="Search parameters" placeholder="Search parameters" value={text} onChange={(e) => setText(e.currentTarget.value)} w={240} />
          <Switch label="Changed only" checked={only} onChange={(e) => setOnly(e.currentTarget.checked)} />
        </Group>
        {changes.length > 0 ? (
          <Group gap="sm">
            <Text size="sm" c="dimmed" role="status">
              {summary}
            </Text>
            <Button variant="default" onClick={() => setDraft({})}>
              Discard
            </Button>
            <ActButton needs="admin" onClick={review}>
              Review…
            </ActButton>
          </Group>
        ) : null}
      </Group>
      {shown.length === 0 ? (
        <EmptyState
          action={
            <Button
              variant="default"
              onClick={() => {
                setText('');
                setOnly(false);
              }}
            >
              Clear filters
            </Button>
          }
        >
          No parameters match.
        </EmptyState>
      ) : (
        <ul className={classes.list} aria-label="Parameters">
          {shown.map((p) => (
            <ParameterRow key={p.name} parameter={p} set={settings[p.name]} draft={draft[p.name]} readOnly={!admin} change={(value) => setDraft({ ...draft, [p.name]: value })} />
          ))}
        </ul>
      )}
      {reviewing ? (
        <ReviewDialog
          project={project}
          cluster={cluster}
          changes={changes}
          tag={tag}
          onClose={() => setReviewing(false)}
          onDone={() => {
            setReviewing(false);
            setDraft({});
          }}
          onStale={reload}
        />
      ) : null}
      {guard}
    </Stack>
  );
}
