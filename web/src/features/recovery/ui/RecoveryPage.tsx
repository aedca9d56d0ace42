import { useState } from 'react';
import { Button, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { projectQuery } from '~/features/projects';
import { storagesQuery } from '~/features/storages';
import { useStanding } from '~/shared/lib/role';
import { useTitle } from '~/shared/lib/title';
import { Loaded } from '~/shared/ui/Loaded';
import { PageHead } from '~/shared/ui/PageHead';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { ExportDialog } from './ExportDialog';
import { KeysCard } from './KeysCard';
import { OwnBackups } from './OwnBackups';
import { RehearseCard } from './RehearseCard';
import { StoragesCard } from './StoragesCard';
import classes from './Recovery.module.css';

/** What if all is lost but the storages? */
export function RecoveryPage() {
  const { project } = useParams({ from: '/shell/p/$project/recovery' });
  useTitle('Recovery kit', project);
  const query = useQuery(projectQuery(project));
  const { data: storages } = useQuery(storagesQuery(project));
  const { administrator } = useStanding();
  const [exporting, setExporting] = useState(false);
  return (
    <>
      <PageHead title="Recovery kit">
        <Button className={classes.screen} variant="default" onClick={() => print()}>
          Print
        </Button>
        <span className={classes.screen}>
          <ActButton needs="owner" onClick={() => setExporting(true)}>
            Export key…
          </ActButton>
        </span>
      </PageHead>
      <Loaded query={query} things="the project">
        {(p) => (
          <Stack gap="md">
            {p.recovery_key_exported ? (
              <Sentence tone="good" banner>
                The recovery key was exported. Keep it off this machine, where it is found when the machine is not.
              </Sentence>
            ) : (
              <Sentence tone="bad" banner>
                No recovery key exported. If this machine is lost, the backups cannot be opened.
              </Sentence>
            )}
            <div className={classes.cards}>
              <KeysCard project={project} />
              <StoragesCard storages={storages?.items ?? []} />
              <RehearseCard project={project} storages={storages?.items ?? []} />
              {administrator ? <OwnBackups /> : null}
            </div>
          </Stack>
        )}
      </Loaded>
      {exporting ? <ExportDialog project={project} onClose={() => setExporting(false)} /> : null}
    </>
  );
}
