import type { TablerIcon } from '@tabler/icons-react';
import { IconActivity, IconBell, IconDatabase, IconDatabaseExport, IconFileText, IconKey, IconLifebuoy, IconServer2, IconStack2, IconTrash, IconUsers } from '@tabler/icons-react';
import type { ComponentType } from 'react';
import { AlertsMark, ClustersMark, OperationsMark, RecoveryMark, StoragesMark } from './marks';

export interface Noun {
  path: string;
  label: string;
  icon: TablerIcon;
  /** The key after `g`. */
  key?: string;
  Mark?: ComponentType<{ project: string }>;
}

/** The pages of a project, in the order of the navigation. One that has no API yet is not in it. */
export const nouns: readonly Noun[] = [
  {
    path: 'clusters',
    label: 'Clusters',
    icon: IconDatabase,
    key: 'c',
    Mark: ClustersMark,
  },
  { path: 'backups', label: 'Backups', icon: IconDatabaseExport, key: 'b' },
  { path: 'groups', label: 'Groups', icon: IconStack2 },
  { path: 'storages', label: 'Storages', icon: IconServer2, key: 's', Mark: StoragesMark },
  { path: 'operations', label: 'Operations', icon: IconActivity, key: 'o', Mark: OperationsMark },
  { path: 'alerts', label: 'Alerts', icon: IconBell, Mark: AlertsMark },
  { path: 'bin', label: 'Recycle bin', icon: IconTrash },
  { path: 'audit', label: 'Audit', icon: IconFileText, key: 'a' },
  { path: 'members', label: 'Members', icon: IconUsers },
  { path: 'tokens', label: 'Tokens', icon: IconKey },
  { path: 'recovery', label: 'Recovery kit', icon: IconLifebuoy, Mark: RecoveryMark },
];
