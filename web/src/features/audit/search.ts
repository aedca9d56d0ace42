import { clean, oneOf, text } from '~/search';

export interface AuditSearch {
  actor?: string;
  action?: string;
  object?: string;
  result?: 'done' | 'refused' | 'failed';
  from?: string;
  until?: string;
  entry?: string;
}

const day = (value: unknown) => {
  const found = text(value, 10);
  return found && /^\d{4}-\d{2}-\d{2}$/.test(found) && !Number.isNaN(Date.parse(found)) ? found : undefined;
};

export function auditSearch(raw: Record<string, unknown>): AuditSearch {
  return clean({
    actor: text(raw['actor'], 100),
    action: text(raw['action'], 60),
    object: text(raw['object'], 60),
    result: oneOf(raw['result'], ['done', 'refused', 'failed'] as const),
    from: day(raw['from']),
    until: day(raw['until']),
    entry: text(raw['entry'], 60),
  });
}
