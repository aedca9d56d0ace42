import type { QueryClient, QueryMeta } from '@tanstack/react-query';

/** What the stream brings; `noun` is one of them: `cluster`, `backup`. */
export interface Change {
  seq: number;
  noun: string;
  id: string;
  action: 'put' | 'remove';
  object?: unknown;
}

interface Thing {
  id: string;
}

interface Page {
  items: Thing[];
  next?: string | null;
}

const isPage = (data: unknown): data is Page => typeof data === 'object' && data !== null && Array.isArray((data as Page).items);
const isPages = (data: unknown): data is { pages: Page[] } =>
  typeof data === 'object' && data !== null && Array.isArray((data as { pages?: unknown }).pages);

/** New ones come first, as the server lists them; what is there keeps its place. */
function put(items: Thing[], object: Thing, belongs: boolean): Thing[] {
  const at = items.findIndex((i) => i.id === object.id);
  if (!belongs) return at < 0 ? items : items.filter((i) => i.id !== object.id);
  if (at < 0) return [object, ...items];
  return items.with(at, object);
}

function onPages(data: unknown, edit: (items: Thing[], first: boolean) => Thing[]): unknown {
  if (isPage(data)) return { ...data, items: edit(data.items, true) };
  if (!isPages(data)) return data;
  return { ...data, pages: data.pages.map((page, n) => ({ ...page, items: edit(page.items, n === 0) })) };
}

function has(data: unknown, id: string): boolean {
  if (isPage(data)) return data.items.some((i) => i.id === id);
  return isPages(data) && data.pages.some((p) => p.items.some((i) => i.id === id));
}

/**
 * Writes what changed into everything that shows it: the object itself, under its id and its name, and each
 * list it is in or now belongs to. Events come in order, so the last of each object is the one that counts.
 */
export function apply(client: QueryClient, project: string, changes: readonly Change[]) {
  const last = new Map<string, Change>();
  for (const change of changes) last.set(`${change.noun} ${change.id}`, change);
  for (const change of last.values()) {
    for (const query of client.getQueryCache().findAll({ queryKey: [project, `${change.noun}s`] })) {
      const [, , shape] = query.queryKey;
      if (query.state.data === undefined) continue;
      if (shape === 'one') one(client, query.queryKey, query.state.data, change);
      else if (shape === 'list') list(client, query.queryKey, query.state.data, change, query.meta);
    }
  }
}

function one(client: QueryClient, key: readonly unknown[], data: unknown, change: Change) {
  if ((data as Thing).id !== change.id) return;
  if (change.action === 'remove') void client.invalidateQueries({ queryKey: key });
  else client.setQueryData(key, change.object);
}

function list(client: QueryClient, key: readonly unknown[], data: unknown, change: Change, { belongs, most }: QueryMeta = {}) {
  const { id, action } = change;
  if (action === 'remove') {
    if (has(data, id)) client.setQueryData(key, onPages(data, (items) => items.filter((i) => i.id !== id)));
    return;
  }
  const object = change.object as Thing;
  const filtered = Object.keys((key[3] as object | undefined) ?? {}).length > 0;
  if (filtered && !belongs) {
    void client.invalidateQueries({ queryKey: key });
    return;
  }
  const fits = belongs ? belongs(object as never) : true;
  const there = has(data, id);
  client.setQueryData(
    key,
    onPages(data, (items, first) => {
      const here = items.some((i) => i.id === id);
      return here || (first && !there) ? put(items, object, fits).slice(0, most) : items;
    }),
  );
}
