import { useState } from 'react';
import { Stack } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Storage } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import { useTitle } from '~/shared/lib/title';
import { EmptyState } from '~/shared/ui/EmptyState';
import { Loaded } from '~/shared/ui/Loaded';
import { PageHead } from '~/shared/ui/PageHead';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { CardsSkeleton } from '~/shared/ui/Skeletons';
import { storagesQuery } from '../queries';
import { AddStorageDialog } from './AddStorageDialog';
import { LimitsDialog } from './LimitsDialog';
import { LoginDialog } from './LoginDialog';
import { RekeyDialog } from './RekeyDialog';
import { RemoveStorageDialog } from './RemoveStorageDialog';
import { StorageCard, type StorageAsk } from './StorageCard';
import classes from './Storages.module.css';

/** Will the places hold? */
export function StoragesPage() {
  const { project } = useParams({ from: '/shell/p/$project/storages' });
  useTitle('Storages', project);
  const query = useQuery(storagesQuery(project));
  const [adding, setAdding] = useState(false);
  const [asked, setAsked] = useState<{ what: StorageAsk; storage: Storage }>();
  const close = () => setAsked(undefined);
  const add = (
    <ActButton needs="owner" leftSection={<IconPlus size={16} stroke={1.75} />} onClick={() => setAdding(true)}>
      Add storage
    </ActButton>
  );
  return (
    <>
      <PageHead title="Storages">{add}</PageHead>
      <Loaded query={query} things="the storages" skeleton={<CardsSkeleton />}>
        {({ items }) =>
          items.length === 0 ? (
            <EmptyState action={add}>No storages in {project}. A storage is a place that backups go to; without one nothing can be backed up.</EmptyState>
          ) : (
            <Stack gap="md">
              {items.every((s) => s.kind === 'local') ? (
                <Sentence tone="warn" banner>
                  {count(items.length, 'storage')}, {items.length === 1 ? 'on' : 'all on'} the machine that runs the clusters: if it is lost, so are the backups. Add one elsewhere.
                </Sentence>
              ) : null}
              <div className={classes.cards}>
                {items.map((s) => (
                  <StorageCard key={s.id} project={project} storage={s} warn={!items.every((x) => x.kind === 'local')} onAsk={(what) => setAsked({ what, storage: s })} />
                ))}
              </div>
            </Stack>
          )
        }
      </Loaded>
      {adding ? <AddStorageDialog project={project} onClose={() => setAdding(false)} /> : null}
      {asked?.what === 'limits' ? <LimitsDialog project={project} storage={asked.storage} onClose={close} /> : null}
      {asked?.what === 'login' ? <LoginDialog project={project} storage={asked.storage} onClose={close} /> : null}
      {asked?.what === 'rekey' ? <RekeyDialog project={project} storage={asked.storage} onClose={close} /> : null}
      {asked?.what === 'remove' ? <RemoveStorageDialog project={project} storage={asked.storage} onClose={close} /> : null}
    </>
  );
}
