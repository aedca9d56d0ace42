import type { TablerIcon } from '@tabler/icons-react';
import { IconDatabase, IconDatabaseExport } from '@tabler/icons-react';
import type { ComponentType } from 'react';
import { ClustersMark } from './marks';

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
];
