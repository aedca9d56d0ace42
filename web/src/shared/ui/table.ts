import { useEffect, useRef, useState } from 'react';

export interface Sort {
  by: string;
  down?: boolean;
}

interface Sortable<T> {
  id: string;
  sort?: (row: T) => string | number | null | undefined;
}

const collator = new Intl.Collator('en', { numeric: true });

/** What is not known comes last, whichever way it is sorted. */
export function sorted<T>(rows: readonly T[], columns: readonly Sortable<T>[], sort?: Sort, order?: (a: T, b: T) => number): T[] {
  const by = columns.find((c) => c.id === sort?.by)?.sort;
  if (!by) return order ? rows.toSorted(order) : [...rows];
  return rows.toSorted((a, b) => {
    const [x, y] = [by(a), by(b)];
    const missing = Number(x === null || x === undefined) - Number(y === null || y === undefined);
    if (missing !== 0 || x === null || x === undefined || y === null || y === undefined) return missing;
    const way = typeof x === 'number' && typeof y === 'number' ? x - y : collator.compare(String(x), String(y));
    return sort?.down ? -way : way;
  });
}

/** While somebody points at a row or is inside, rows keep their places; what is new waits. */
export function steady<T>(before: readonly string[], wanted: readonly T[], id: (row: T) => string): { shown: T[]; waiting: number } {
  const now = new Map(wanted.map((row) => [id(row), row]));
  const shown = before.map((key) => now.get(key)).filter((row) => row !== undefined);
  return { shown, waiting: wanted.length - shown.length };
}

/** Rows are held from when somebody comes until they leave; who sorts anew wants the new order. */
export function useSteady<T>(wanted: T[], id: (row: T) => string, reason: string) {
  const [held, setHeld] = useState<{ ids: string[]; reason: string }>();
  const { shown, waiting } = held?.reason === reason ? steady(held.ids, wanted, id) : { shown: wanted, waiting: 0 };
  const hold = () => setHeld((before) => (before?.reason === reason ? before : { ids: wanted.map(id), reason }));
  const release = () => setHeld(undefined);
  return { shown, waiting, hold, release };
}

/** The rows that changed within the last second. */
export function useFlash<T>(rows: readonly T[], id: (row: T) => string, of?: (row: T) => string): ReadonlySet<string> {
  const before = useRef<Map<string, string> | undefined>(undefined);
  const [flashing, setFlashing] = useState<ReadonlySet<string>>(new Set());
  const state = of ? rows.map((row) => `${id(row)}\n${of(row)}`).join('\n\n') : '';
  useEffect(() => {
    if (!of) return;
    const now = new Map(state.split('\n\n').map((text) => text.split('\n', 2) as [string, string]));
    const known = before.current;
    before.current = now;
    if (!known) return;
    const changed = new Set([...now].filter(([key, value]) => known.get(key) !== value).map(([key]) => key));
    if (changed.size === 0) return;
    setFlashing(changed);
    const timer = setTimeout(() => setFlashing(new Set()), 1000);
    return () => clearTimeout(timer);
    // The text says all that counts.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [state]);
  return flashing;
}

/** Rows that are drawn at once; more come when they are asked for. */
export const AT_ONCE = 500;

/** How many of so many rows are drawn; another order begins at the top. */
export function useDrawn(total: number, reason: string) {
  const [grown, setGrown] = useState({ to: AT_ONCE, reason });
  const to = grown.reason === reason ? grown.to : AT_ONCE;
  const grow = () => setGrown({ to: to + AT_ONCE, reason });
  return { drawn: Math.min(total, to), grow };
}
