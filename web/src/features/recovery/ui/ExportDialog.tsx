import { useState } from 'react';
import { Button, Checkbox, Group } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import type { RecoveryKit } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { Sentence } from '~/shared/ui/Sentence';
import { useExportKey, useExportKit } from '../queries';
import { KeyShown, save } from './KeyShown';

/** The key alone, or with all that reaches the storages. */
export function ExportDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const [whole, setWhole] = useState(false);
  const key = useExportKey(project);
  const kit = useExportKit(project);
  const act = whole ? kit : key;
  if (kit.data) return <KitShown project={project} kit={kit.data} onClose={onClose} />;
  if (key.data) {
    return (
      <ConfirmDialog opened onClose={onClose} title={`Recovery key of ${project}`} action="I have kept it" onConfirm={onClose} focus="action">
        <KeyShown project={project} name="default" value={key.data.key} />
      </ConfirmDialog>
    );
  }
  return (
    <ConfirmDialog opened onClose={onClose} title="Export the recovery key" action="Export" busy={act.isPending} error={act.error} onConfirm={() => act.mutate()}>
      <p style={{ margin: 0 }}>
        Whoever has this file and a storage can read every backup of {project}. It is shown once and recorded.
      </p>
      <Checkbox label="With the storages’ addresses and secrets" description="All that a recovery from nothing needs; whoever has it needs nothing else" checked={whole} onChange={(e) => setWhole(e.currentTarget.checked)} />
    </ConfirmDialog>
  );
}

function KitShown({ project, kit, onClose }: { project: string; kit: RecoveryKit; onClose: () => void }) {
  const unread = kit.borg.filter((b) => b.error);
  return (
    <ConfirmDialog opened onClose={onClose} title={`Recovery kit of ${project}`} action="I have kept it" onConfirm={onClose} focus="action">
      <Sentence tone="warn" banner>
        Whoever has this file can read every backup of {project} and signs in to {count(kit.storages.length, 'storage')}. Keep it off this machine.
      </Sentence>
      {unread.map((b) => (
        <Sentence key={b.repository} tone="bad">
          The key of {b.repository} could not be had: {b.error}
        </Sentence>
      ))}
      <Group>
        <Button variant="default" leftSection={<IconDownload size={16} stroke={1.75} />} onClick={() => save(JSON.stringify(kit, null, 2), `${project}.recovery-kit.json`)}>
          Download recovery kit
        </Button>
      </Group>
    </ConfirmDialog>
  );
}
