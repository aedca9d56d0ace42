import { useState } from 'react';
import { Card, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Cluster, Group, GroupBackup } from '~/api/schema';
import { clustersQuery } from '~/features/clusters';
import { GroupSchedules } from '~/features/schedules';
import { useMay } from '~/shared/lib/role';
import { RowMenu, type MenuItem } from '~/shared/ui/DataTable';
import { Loaded } from '~/shared/ui/Loaded';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Time } from '~/shared/ui/Time';
import { newestWhole } from '../model';
import { useGroupBackups } from '../queries';
import { GroupBackups } from './GroupBackups';
import { BackUpGroupDialog, DeleteGroupDialog, MembersDialog } from './GroupDialogs';
import { GroupLanes } from './GroupLanes';
import { RestoreGroupDialog } from './RestoreGroupDialog';
import classes from './Groups.module.css';

type Asked = { what: 'backup' | 'delete' | 'members' } | { what: 'restore'; backup: GroupBackup };

interface Props {
  project: string;
  group: Group;
  /** The open schedule dialog: a name, or `+` for a new one. */
  schedule?: string;
  onSchedule: (name: string | undefined) => void;
}

/** A group: to when it can be brought back as a whole, and a lane for each member. */
export function GroupCard({ project, group: g, schedule, onSchedule }: Props) {
  const query = useGroupBackups(project, g);
  const { data: clusters } = useQuery(clustersQuery(project));
  const [asked, setAsked] = useState<Asked>();
  const admin = useMay('admin');
  const members = (clusters?.items ?? []).filter((c) => g.members.includes(c.name));
  const backups = query.data?.items ?? [];
  const newest = newestWhole(backups) ?? (g.last_backup?.restorable ? g.last_backup : undefined);
  const close = () => setAsked(undefined);
  const items: MenuItem[] = [
    { label: 'Edit members…', onClick: () => setAsked({ what: 'members' }) },
    { label: 'Delete group…', danger: true, divided: true, onClick: () => setAsked({ what: 'delete' }) },
  ];
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label={`Group ${g.name}`}>
      <Stack gap="sm">
        <div className={classes.head}>
          <h2 className={classes.title}>
            {g.name}
            <span className={classes.sub}>{standing(g, members)}</span>
          </h2>
          <ActButton needs="operator" variant="default" onClick={() => setAsked({ what: 'backup' })} aria-label={`Back up group now, ${g.name}`}>
            Back up group now
          </ActButton>
          <ActButton needs="operator" variant="default" blocked={!newest && 'No backup of the group is whole.'} onClick={() => newest && setAsked({ what: 'restore', backup: newest })} aria-label={`Restore group…, ${g.name}`}>
            Restore group…
          </ActButton>
          {admin ? <RowMenu name={g.name} items={() => items} /> : null}
        </div>
        {newest ? (
          <Sentence tone="good">
            Complete to <Time at={newest.created_at} />: every member has its part, read back.
          </Sentence>
        ) : query.data ? (
          <Sentence tone="bad">No backup of the group is whole: its members cannot be brought back to one point.</Sentence>
        ) : null}
        <Loaded query={query} things="the group’s backups">
          {() => (
            <>
              <GroupLanes group={g} members={members} backups={backups} />
              {backups.length > 0 ? <GroupBackups group={g} backups={backups} onRestore={(backup) => setAsked({ what: 'restore', backup })} /> : null}
            </>
          )}
        </Loaded>
        <GroupSchedules project={project} group={g} opened={schedule} onOpen={onSchedule} />
      </Stack>
      {asked?.what === 'backup' ? <BackUpGroupDialog project={project} group={g} onClose={close} /> : null}
      {asked?.what === 'members' ? <MembersDialog project={project} group={g} onClose={close} /> : null}
      {asked?.what === 'delete' ? <DeleteGroupDialog project={project} group={g} onClose={close} /> : null}
      {asked?.what === 'restore' ? <RestoreGroupDialog project={project} group={g} backup={asked.backup} onClose={close} /> : null}
    </Card>
  );
}

function standing(g: Group, members: readonly Cluster[]): string {
  const running = members.filter((c) => c.status === 'running').length;
  return `${running} of ${g.members.length} running`;
}
