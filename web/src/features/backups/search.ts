import { clean, oneOf, text } from '~/search';

export interface BackupsSearch {
  q?: string;
  status?: string;
  kind?: string;
  storage?: string;
  cluster?: string;
  /** Days, as 2026-11-20. */
  from?: string;
  until?: string;
  sort?: string;
  /** The open drawer. */
  backup?: string;
  /** The open dialog: a backup's id, or `newest`. */
  restore?: string;
  to?: 'new' | 'this' | 'other';
  at?: string;
  /** The open schedule dialog: a name, or `+` for a new one. */
  schedule?: string;
}

const day = (value: unknown) => {
  const found = text(value, 10);
  return found && /^\d{4}-\d{2}-\d{2}$/.test(found) && !Number.isNaN(Date.parse(found)) ? found : undefined;
};

export function backupsSearch(raw: Record<string, unknown>): BackupsSearch {
  return clean({
    q: text(raw['q']),
    status: text(raw['status'], 40),
    kind: text(raw['kind'], 40),
    storage: text(raw['storage'], 60),
    cluster: text(raw['cluster'], 60),
    from: day(raw['from']),
    until: day(raw['until']),
    sort: text(raw['sort'], 40),
    backup: text(raw['backup'], 60),
    restore: text(raw['restore'], 60),
    to: oneOf(raw['to'], ['new', 'this', 'other'] as const),
    at: text(raw['at'], 40),
    schedule: text(raw['schedule'], 60),
  });
}
