import type { Operation } from '~/api/schema';
import { kindTitle } from '~/shared/lib/kinds';
import { active } from '~/shared/ui/OperationBar';

/** What is done to what: "Add node, orders-db". */
export function title(o: Operation): string {
  return o.cluster ? `${kindTitle(o.kind)}, ${o.cluster}` : kindTitle(o.kind);
}

export type Part = 'running' | 'decision' | 'ended' | 'all';

/** Which part of the list an operation is in. */
export function partOf(o: Operation): Part {
  if (o.status === 'stuck') return 'decision';
  return active(o) ? 'running' : 'ended';
}

interface Filters {
  show?: string;
  kind?: string;
  cluster?: string;
  who?: string;
}

export function filteredOperations(all: readonly Operation[], f: Filters): Operation[] {
  const show = f.show ?? 'running';
  return all.filter(
    (o) => (show === 'all' || partOf(o) === show) && (!f.kind || o.kind === f.kind) && (!f.cluster || o.cluster === f.cluster) && (!f.who || o.requested_by === f.who),
  );
}

/** Both lists as one, the newest first. */
export function merged(running: readonly Operation[], listed: readonly Operation[]): Operation[] {
  const known = new Map([...running, ...listed].map((o) => [o.id, o]));
  return [...known.values()].toSorted((a, b) => (a.created_at === b.created_at ? 0 : a.created_at < b.created_at ? 1 : -1));
}

const HOUR = 3_600_000;

/** What the tray shows: what runs or is stuck, then what ended in the last hour. */
export function tray(all: readonly Operation[], now: number): { running: Operation[]; ended: Operation[] } {
  const running = all.filter(active);
  const ended = all.filter((o) => !active(o) && o.finished_at && now - Date.parse(o.finished_at) < HOUR);
  return { running, ended };
}

/** The one that the object's bar shows: what runs; else what ended within 10 s; a failure until it was read. */
export function barOf(all: readonly Operation[], now: number, read: ReadonlySet<string>): Operation | undefined {
  const running = all.find(active);
  if (running) return running;
  const [newest] = all;
  if (!newest?.finished_at || read.has(newest.id)) return undefined;
  const since = now - Date.parse(newest.finished_at);
  if (newest.status === 'failed') return since < 24 * HOUR ? newest : undefined;
  return since < 10_000 ? newest : undefined;
}

/** Which choices make sense; the server has the last word. */
export function choices(o: Operation): ('cancel' | 'retry' | 'skip' | 'abandon')[] {
  if (o.status === 'stuck') return ['retry', 'skip', 'abandon'];
  if (o.status === 'queued') return ['cancel'];
  return o.status === 'running' && !o.point_of_no_return_passed ? ['cancel'] : [];
}
