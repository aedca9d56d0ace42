import { Button, Group, Radio, Select, Stack } from '@mantine/core';
import type { EngineEntry } from '~/api/schema';
import { asSentence } from '~/shared/lib/localTimes';
import { CopyField } from '~/shared/ui/CopyField';
import { EmptyState } from '~/shared/ui/EmptyState';
import { LinkButton } from '~/shared/ui/LinkButton';
import type { Part } from './createParts';
import classes from './CreateWizard.module.css';

/** What there is to run; what is not there stands last, and says how to get it. */
export function CreateService({ engines, choice, change }: Part & { engines: readonly EngineEntry[] }) {
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
          <p className={classes.dim}>{asSentence(e.install_hint)} Then come back: it is found by itself.</p>
        </details>
      ) : null}
    </div>
  );
}

/** None of them is there. */
export function NoEngines({ engines, project }: { engines: readonly EngineEntry[]; project: string }) {
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
