import { useState } from 'react';
import { Button, Group, NumberInput, Radio, Select, Stack, Switch, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { EngineEntry } from '~/api/schema';
import { useTitle } from '~/shared/lib/title';
import { CopyField } from '~/shared/ui/CopyField';
import { EmptyState } from '~/shared/ui/EmptyState';
import { ActError, ErrorCard } from '~/shared/ui/ErrorCard';
import { LinkButton } from '~/shared/ui/LinkButton';
import { PageHead } from '~/shared/ui/PageHead';
import { ActButton } from '~/shared/ui/RoleGate';
import { Waiting } from '~/shared/ui/Skeletons';
import { clean, type CreateSearch } from '~/search';
import { bodyOf, chosen, nameFault, type Choice } from '../create';
import { modeTitle } from '../model';
import { clustersQuery, enginesQuery, useCreateCluster } from '../queries';
import { CreateSummary } from './CreateSummary';
import classes from './CreateWizard.module.css';

/** From choice to running. What is chosen stands in the address, so that Back and reload keep it. */
export function CreateWizard() {
  const { project } = useParams({ from: '/shell/p/$project/clusters/new' });
  const search = useSearch({ from: '/shell/p/$project/clusters/new' });
  const navigate = useNavigate({ from: '/p/$project/clusters/new' });
  useTitle('Create cluster', project);
  const query = useQuery(enginesQuery(project));
  const engines = query.data?.items ?? [];
  const choice = chosen(search, engines);
  const change = (part: CreateSearch, replace = true) => void navigate({ search: (before) => clean({ ...before, ...part }), replace });
  return (
    <div style={{ maxWidth: 1080 }}>
      <PageHead title="Create cluster" />
      {query.isPending ? (
        <Waiting />
      ) : query.isError && !query.data ? (
        <ErrorCard error={query.error} things="the services" retry={() => void query.refetch()} />
      ) : choice ? (
        <div className={classes.columns}>
          <div>
            <Steps step={search.step ?? 1} go={(step) => change({ step: step === 2 ? 2 : undefined }, false)} />
            {search.step === 2 ? (
              <NameAndOptions project={project} choice={choice} search={search} change={change} />
            ) : (
              <Service engines={engines} choice={choice} change={change} />
            )}
          </div>
          <CreateSummary project={project} choice={choice} name={search.name} />
        </div>
      ) : (
        <NoEngines engines={engines} project={project} />
      )}
    </div>
  );
}

function Steps({ step, go }: { step: 1 | 2; go: (step: 1 | 2) => void }) {
  const names = ['Service', 'Name and options'] as const;
  return (
    <ol className={classes.steps}>
      {names.map((name, n) => (
        <li key={name}>
          <button type="button" className={classes.step} aria-current={step === n + 1 ? 'step' : undefined} onClick={() => go((n + 1) as 1 | 2)}>
            <span className={classes.number}>{n + 1}</span>
            {name}
          </button>
        </li>
      ))}
    </ol>
  );
}

interface Part {
  choice: Choice;
  change: (part: CreateSearch, replace?: boolean) => void;
}

function Service({ engines, choice, change }: Part & { engines: readonly EngineEntry[] }) {
  const sorted = engines.toSorted((a, b) => Number(b.available) - Number(a.available));
  return (
    <Stack gap="lg">
      <Radio.Group aria-label="Service" value={choice.engine.name} onChange={(engine) => change({ engine: String(engine), version: undefined })}>
        <div className={classes.services}>
          {sorted.map((e) => (e.available ? <Available key={e.name} engine={e} choice={choice} change={change} /> : <Absent key={e.name} engine={e} />))}
        </div>
      </Radio.Group>
      <Group justify="flex-end" className={classes.buttons}>
        <Button onClick={() => change({ step: 2, engine: choice.engine.name }, false)}>Continue</Button>
      </Group>
    </Stack>
  );
}

function Available({ engine: e, choice, change }: Part & { engine: EngineEntry }) {
  const on = choice.engine.name === e.name;
  return (
    <div className={classes.service} data-on={on || undefined}>
      <Radio.Card value={e.name} className={classes.card} aria-label={e.title}>
        <Group wrap="nowrap" gap="sm">
          <Radio.Indicator />
          <span className={classes.title}>{e.title}</span>
        </Group>
      </Radio.Card>
      {e.versions.length > 1 ? (
        <Select
          aria-label={`Version of ${e.title}`}
          size="xs"
          data={e.versions}
          value={on ? choice.version : (e.versions[0] ?? null)}
          allowDeselect={false}
          onChange={(version) => change({ engine: e.name, version: version ?? undefined })}
        />
      ) : (
        <span className={classes.dim}>Version {e.versions[0]}</span>
      )}
    </div>
  );
}

function Absent({ engine: e }: { engine: EngineEntry }) {
  return (
    <div className={classes.service} data-absent>
      <span className={classes.title}>{e.title}</span>
      <span className={classes.dim}>Not available on this machine.</span>
      {e.install_hint ? (
        <details>
          <summary>How to get it</summary>
          <p className={classes.dim}>{e.install_hint}</p>
        </details>
      ) : null}
    </div>
  );
}

function NoEngines({ engines, project }: { engines: readonly EngineEntry[]; project: string }) {
  return (
    <EmptyState action={<LinkButton to={`/p/${project}/clusters`}>All clusters</LinkButton>}>
      No service can be run on this machine yet. Install one of these, then come back:
      {engines.map((e) => (
        <span key={e.name} style={{ display: 'block', marginTop: 8 }}>
          <strong>{e.title}</strong>
          <CopyField value={e.install_hint} what={`how to get ${e.title}`} />
        </span>
      ))}
    </EmptyState>
  );
}

function NameAndOptions({ project, choice, search, change }: Part & { project: string; search: CreateSearch }) {
  const { data: clusters } = useQuery(clustersQuery(project));
  const [key] = useState(newKey);
  const [checked, setChecked] = useState(false);
  const [failover, setFailover] = useState(true);
  const act = useCreateCluster(project);
  const navigate = useNavigate();
  const name = search.name ?? '';
  const fault = nameFault(name, clusters?.items.map((c) => c.name) ?? [], project);
  const refused = isProblem(act.error) && act.error.field === 'name' ? act.error.detail : undefined;
  const create = () => {
    setChecked(true);
    if (fault) {
      document.getElementById('cluster-name')?.focus();
      return;
    }
    act.mutate(
      { key, body: bodyOf(choice, name, failover) },
      { onSuccess: () => void navigate({ to: '/p/$project/clusters/$cluster', params: { project, cluster: name } }) },
    );
  };
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        create();
      }}
    >
      <Stack gap="lg">
        <TextInput
          id="cluster-name"
          label="Name"
          description="It cannot be changed later."
          placeholder="orders-db"
          value={name}
          onChange={(e) => change({ name: e.currentTarget.value || undefined })}
          onBlur={() => setChecked(name !== '')}
          error={checked ? (fault ?? refused) : refused}
          autoComplete="off"
          spellCheck={false}
          maw={400}
        />
        <Radio.Group label="Mode" value={choice.mode} onChange={(mode) => change({ mode: String(mode) })}>
          <Stack gap="xs" mt={4}>
            {choice.engine.modes.map((m) => (
              <Radio key={m} value={m} label={modeTitle(m).replace(/^./, (c) => c.toUpperCase())} description={m === 'single' ? 'Replicas can be added later without rebuilding anything.' : undefined} />
            ))}
          </Stack>
        </Radio.Group>
        {choice.mode === 'single' ? null : (
          <NumberInput label="Replicas" value={choice.replicas} onChange={(n) => change({ replicas: Number(n) || 1 })} min={1} max={20} clampBehavior="strict" maw={160} />
        )}
        <Switch label="Auto-failover" description="A replica takes over when the primary is lost, where it can." checked={failover} onChange={(e) => setFailover(e.currentTarget.checked)} />
        {refused ? null : <ActError error={act.error} />}
        <Group justify="space-between" className={classes.buttons}>
          <Button variant="default" onClick={() => change({ step: undefined }, false)}>
            Back
          </Button>
          <ActButton needs="admin" type="submit" loading={act.isPending} onClick={() => undefined}>
            Create cluster
          </ActButton>
        </Group>
      </Stack>
    </form>
  );
}
