import { useState } from 'react';
import { Button, Group, NumberInput, Radio, Stack, Switch, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import { ActError } from '~/shared/ui/ErrorCard';
import { ActButton } from '~/shared/ui/RoleGate';
import type { CreateSearch } from '~/search';
import { bodyOf, nameFault } from '../create';
import { modeTitle } from '../model';
import { clustersQuery, useCreateCluster } from '../queries';
import type { Part } from './createParts';
import classes from './CreateWizard.module.css';

/** What it is called and how it stands; then it is made. */
export function CreateName({ project, choice, search, change }: Part & { project: string; search: CreateSearch }) {
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
          <Button variant="default" onClick={() => change({ step: 2 }, false)}>
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
