import { IconBan, IconCircleCheck, IconCircleX } from '@tabler/icons-react';
import type { Look } from '~/shared/lib/statuses';
import { lookOf } from '~/shared/lib/statuses';
import type { AuditSearch } from './search';

/** How an act ended. A refused one is shown as loud as a failed one: somebody tried. */
export function resultLook(result: string): Look {
  if (result === 'done') return { word: 'Done', tone: 'idle', icon: IconCircleCheck };
  if (result === 'refused') return { word: 'Refused', tone: 'bad', icon: IconBan };
  if (result === 'failed') return { word: 'Failed', tone: 'warn', icon: IconCircleX };
  return lookOf('operation', result);
}

/** `setSchedule` reads "Set schedule". */
export function actionTitle(action: string): string {
  const words = action
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll('_', ' ')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Days of the reader as the moments that the server wants. */
export function span(s: Pick<AuditSearch, 'from' | 'until'>): { since?: string; until?: string } {
  const start = (day: string) => new Date(`${day}T00:00:00`);
  return {
    ...(s.from ? { since: start(s.from).toISOString() } : {}),
    ...(s.until ? { until: new Date(start(s.until).getTime() + 86_400_000).toISOString() } : {}),
  };
}

export interface Piece {
  name: string;
  text: string;
  /** JSON, which reads better over several lines. */
  json?: boolean;
}

/** The detail is a line of pieces, "asked {…}; made {…}; operation op_…": each by its name. */
export function pieces(detail: string): Piece[] {
  const out: Piece[] = [];
  let rest = detail;
  while (rest !== '') {
    const found = /^(\w+) ([{[])/.exec(rest);
    const end = found ? endOfJson(rest, found[0].length - 1) : -1;
    if (found?.[1] && end > 0) {
      out.push({ name: found[1], text: pretty(rest.slice(found[0].length - 1, end)), json: true });
      rest = rest.slice(end).replace(/^; /, '');
      continue;
    }
    const cut = rest.search(/; \w+ [{[]|; operation /);
    const part = cut < 0 ? rest : rest.slice(0, cut);
    const operation = /^operation (op_\w+)$/.exec(part);
    out.push(operation?.[1] ? { name: 'operation', text: operation[1] } : { name: 'said', text: part });
    rest = cut < 0 ? '' : rest.slice(cut + 2);
  }
  return out;
}

function endOfJson(text: string, from: number): number {
  let depth = 0;
  let quoted = false;
  for (let n = from; n < text.length; n += 1) {
    const c = text[n];
    if (quoted) {
      if (c === '\\') n += 1;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === '{' || c === '[') depth += 1;
    else if (c === '}' || c === ']') {
      depth -= 1;
      if (depth === 0) return n + 1;
    }
  }
  return -1;
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
