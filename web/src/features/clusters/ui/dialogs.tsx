import type { Cluster } from '~/api/schema';
import { NodeDialog, ResyncDialog } from '~/features/nodes';
import { BackUpDialog } from './BackUpDialog';
import { DeleteDialog } from './DeleteDialog';
import type { Dialog } from './dialogContext';
import { VerbDialog } from './VerbDialog';

export function ClusterDialogs({ project, cluster, dialog, onClose }: { project: string; cluster: Cluster; dialog: Dialog; onClose: () => void }) {
  const common = { project, cluster, onClose };
  switch (dialog.what) {
    case 'backup':
      return <BackUpDialog {...common} />;
    case 'add':
      return <NodeDialog {...common} verb="add" />;
    case 'promote':
    case 'reboot':
    case 'remove':
      return <NodeDialog {...common} verb={dialog.what} node={dialog.node} />;
    case 'resync':
      return <ResyncDialog {...common} />;
    case 'delete':
      return <DeleteDialog {...common} />;
    default:
      return <VerbDialog {...common} verb={dialog.what} />;
  }
}
