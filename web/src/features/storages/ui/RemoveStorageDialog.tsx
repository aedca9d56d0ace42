import { isProblem } from '~/api/problem';
import type { Storage } from '~/api/schema';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { LinkButton } from '~/shared/ui/LinkButton';
import { useRemoveStorage } from '../queries';

/** Only what holds no backup can be forgotten; the server says which ones are in the way. */
export function RemoveStorageDialog({ project, storage, onClose }: { project: string; storage: Storage; onClose: () => void }) {
  const remove = useRemoveStorage(project, storage.name);
  const held = isProblem(remove.error, 409);
  return (
    <ConfirmDialog opened onClose={onClose} title={`Remove ${storage.name}`} action="Remove storage" typed={storage.name} danger busy={remove.isPending} error={remove.error} onConfirm={() => remove.mutate(undefined, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>
        Mainstay forgets {storage.location} and what signs in there. Nothing in it is touched. Where backups are still in it, it cannot be removed: copy or delete them first.
      </p>
      {held ? <LinkButton to={`/p/${project}/backups?storage=${storage.name}`}>Backups in {storage.name}</LinkButton> : null}
    </ConfirmDialog>
  );
}
