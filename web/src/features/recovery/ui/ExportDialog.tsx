import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { useExportKey } from '../queries';
import { KeyShown } from './KeyShown';

export function ExportDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const act = useExportKey(project);
  if (act.data) {
    return (
      <ConfirmDialog opened onClose={onClose} title={`Recovery key of ${project}`} action="I have kept it" onConfirm={onClose} focus="action">
        <KeyShown project={project} name="default" value={act.data.key} />
      </ConfirmDialog>
    );
  }
  return (
    <ConfirmDialog opened onClose={onClose} title="Export the recovery key" action="Export" busy={act.isPending} error={act.error} onConfirm={() => act.mutate()}>
      <p style={{ margin: 0 }}>
        Whoever has this file and a storage can read every backup of {project}. It is shown once and recorded.
      </p>
    </ConfirmDialog>
  );
}
