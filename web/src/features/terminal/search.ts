import { clean, text } from '~/search';

export interface TerminalSearch {
  node?: string;
}

export function terminalSearch(raw: Record<string, unknown>): TerminalSearch {
  return clean({ node: text(raw['node'], 60) });
}
