import { clean, text } from '~/search';

export interface GroupsSearch {
  /** The group whose schedule dialog is open, and which: a name, or `+` for a new one. */
  group?: string;
  schedule?: string;
}

export function groupsSearch(raw: Record<string, unknown>): GroupsSearch {
  return clean({ group: text(raw['group'], 60), schedule: text(raw['schedule'], 60) });
}
