import { clean, oneOf, text } from '~/search';

export interface OperationsSearch {
  show?: 'decision' | 'ended' | 'all';
  kind?: string;
  cluster?: string;
  who?: string;
  op?: string;
}

export function operationsSearch(raw: Record<string, unknown>): OperationsSearch {
  return clean({
    show: oneOf(raw['show'], ['decision', 'ended', 'all'] as const),
    kind: text(raw['kind'], 60),
    cluster: text(raw['cluster'], 60),
    who: text(raw['who'], 100),
    op: text(raw['op'], 60),
  });
}
