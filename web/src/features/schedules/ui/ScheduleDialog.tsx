import { useState } from 'react';
import { Group, MultiSelect, NumberInput, Radio, Select, Stack, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { newKey } from '~/api/client';
import { isProblem } from '~/api/problem';
import type { Overlap, Schedule } from '~/api/schema';
import { snapshotStoragesQuery, storageNamesQuery } from '~/features/clusters';
import { CopyDays } from '~/features/copies';
import { count } from '~/shared/lib/bytes';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { Time } from '~/shared/ui/Time';
import { bodyOf, copiesTighter, copiesWrong, draftOf, faults, keptAtOnce, tighter, toggledDay, toggledHour, type Draft, type Of } from '../model';
import { previewQuery, useSetSchedule } from '../queries';
import { WhenFields } from './WhenFields';
import { WeekGrid } from './WeekGrid';
import classes from './Schedules.module.css';

interface Props {
  project: string;
  of: Of;
  all: readonly Schedule[];
  /** Absent for a new one. */
  schedule?: Schedule;
  onClose: () => void;
}

const here = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
const zones = () => [...new Set([here, 'UTC', ...Intl.supportedValuesOf('timeZone')])];

/** Days, hours, how long and where to; below, what comes of it, before it is saved. */
export function ScheduleDialog({ project, of, all, schedule, onClose }: Props) {
  const { data: storages } = useQuery(storageNamesQuery(project));
  if (!storages) return null;
  return <Inside project={project} of={of} all={all} schedule={schedule} onClose={onClose} storages={storages} />;
}

function Inside({ project, of, all, schedule, onClose, storages }: Props & { storages: readonly string[] }) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(schedule, here, storages));
  const [tried, setTried] = useState(false);
  const [key] = useState(newKey);
  const set = useSetSchedule(project, of);
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const { data: snapshots } = useQuery(snapshotStoragesQuery(project));
  const copies = copiesWrong(draft, schedule, snapshots);
  const wrong = faults(draft, schedule ? [] : all.map((s) => s.name), copies);
  const shown = tried ? wrong : {};
  const save = () => {
    setTried(true);
    if (Object.keys(wrong).length === 0) set.mutate({ key, body: bodyOf(draft, schedule) }, { onSuccess: onClose });
  };
  const refused = draft.storages.length > 1 && isProblem(set.error, 422) && set.error.field === 'copy_retention' ? set.error.detail : undefined;
  const title = schedule ? `Edit the schedule ${schedule.name}` : `Add a schedule to ${of.name}`;
  return (
    <ConfirmDialog opened onClose={onClose} title={title} action="Save schedule" size={800} busy={set.isPending} error={refused ? undefined : set.error} focus="action" onConfirm={save}>
      <Stack gap="md">
        {schedule ? null : (
          <TextInput label="Name" placeholder="nightly" value={draft.name} onChange={(e) => change({ name: e.currentTarget.value })} error={shown.name} autoComplete="off" data-autofocus />
        )}
        <WhenFields draft={draft} change={change} faults={shown} />
        <WeekGrid
          schedules={[{ name: draft.name || 'this', when: draft }]}
          label="When it runs, by day and hour"
          onDay={(day) => change(toggledDay(draft, day))}
          onHour={(hour) => change(toggledHour(draft, hour))}
        />
        <Group grow align="flex-start">
          <Select label="Time zone" data={zones()} value={draft.timeZone} onChange={(zone) => change({ timeZone: zone ?? '' })} searchable limit={50} allowDeselect={false} error={shown.timeZone} />
          <MultiSelect label="Storages" data={[...storages]} value={draft.storages} onChange={(next) => change({ storages: next })} error={shown.storages} />
        </Group>
        <Group grow align="flex-start">
          <NumberInput label="Keep for" suffix=" days" min={1} max={36_500} allowDecimal={false} value={draft.keepDays} onChange={(keepDays) => change({ keepDays })} error={shown.retention} />
          <NumberInput label="Or keep the newest" placeholder="no number" min={1} max={100_000} allowDecimal={false} value={draft.keepLast} onChange={(keepLast) => change({ keepLast })} />
        </Group>
        <CopyDays places={draft.storages} days={draft.copyDays} onChange={(copyDays) => change({ copyDays })} faults={copies} refused={refused} />
        <Radio.Group label="If the backup before is still running" value={draft.overlap} onChange={(overlap) => change({ overlap: overlap as Overlap })}>
          <Stack gap="xs" mt={4}>
            <Radio value="skip" label="Leave this time out" />
            <Radio value="queue" label="Wait for it" description="It begins when that is done. Of several times that wait only the newest runs." />
          </Stack>
        </Radio.Group>
        <Preview project={project} of={of} draft={draft} schedule={schedule} ready={Object.keys(wrong).filter((f) => f !== 'name').length === 0} />
      </Stack>
    </ConfirmDialog>
  );
}

function Preview({ project, of, draft, schedule, ready }: { project: string; of: Of; draft: Draft; schedule?: Schedule; ready: boolean }) {
  const [settled] = useDebouncedValue(draft, 300);
  const body = bodyOf({ ...settled, name: 'preview' }, schedule);
  const { data, error } = useQuery(previewQuery(project, of, body, ready));
  const number = (v: number | string) => (typeof v === 'number' ? v : undefined);
  const kept = keptAtOnce(draft, number(draft.keepDays), number(draft.keepLast));
  if (!ready) return null;
  return (
    <section aria-label="What comes of it" aria-live="polite">
      <span className={classes.legend}>Next runs</span>
      {error ? <Sentence tone="bad">{error.message}</Sentence> : data ? (
        <ul className={classes.runs}>
          {data.next_runs.map((at, n) => (
            <li key={at}>
              {data.on_the_wall[n]}
              {draft.timeZone === here ? null : (
                <>
                  {' '}
                  · for you <Time at={at} />
                </>
              )}
            </li>
          ))}
        </ul>
      ) : (
        <Waiting />
      )}
      <p style={{ margin: '8px 0 0' }}>{kept === undefined ? '' : `About ${count(kept, 'backup')} of it stand at once.`}</p>
      {schedule ? (
        <Sentence tone="idle">
          Backups already made stay as they are
          {tighter(schedule.retention, number(draft.keepDays), number(draft.keepLast)) || copiesTighter(schedule, draft) ? ': the shorter time counts for those made from now on, and nothing is deleted by this change.' : '.'}
        </Sentence>
      ) : null}
    </section>
  );
}
