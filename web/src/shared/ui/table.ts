import { useEffect, useMemo, useRef, useState } from 'react';

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

/** While somebody points at a row or is inside, rows keep their places; what is new waits, but for what comes after them all. */
export function steady<T>(before: readonly string[], wanted: readonly T[], id: (row: T) => string): { shown: T[]; waiting: number } {
  const now = new Map(wanted.map((row) => [id(row), row]));
  const shown = before.map((key) => now.get(key)).filter((row) => row !== undefined);
  const held = new Set(before);
  const after = wanted.slice(wanted.findLastIndex((row) => held.has(id(row))) + 1);
  return { shown: [...shown, ...after], waiting: wanted.length - shown.length - after.length };
}

/** Rows are held from when somebody comes until they leave; who sorts anew wants the new order. */
export function useSteady<T>(wanted: T[], id: (row: T) => string, reason: string) {
  const [held, setHeld] = useState<{ ids: string[]; reason: string }>();
  // How a row is named does not change with the drawing.
  // oxlint-disable-next-line react/exhaustive-deps
  const { shown, waiting } = useMemo(() => (held?.reason === reason ? steady(held.ids, wanted, id) : { shown: wanted, waiting: 0 }), [held, wanted, reason]);
  const hold = () => setHeld((before) => (before?.reason === reason ? before : { ids: wanted.map(id), reason }));
  const release = () => setHeld(undefined);
  return { shown, waiting, hold, release };
}

/** The ids of rows that are there before and now, and say something else now. What is the same object says the same. */
export function changed<T>(before: ReadonlyMap<string, T>, rows: readonly T[], id: (row: T) => string, of: (row: T) => string): Set<string> {
  const ids = new Set<string>();
  for (const row of rows) {
    const was = before.get(id(row));
    if (was !== undefined && was !== row && of(was) !== of(row)) ids.add(id(row));
  }
  return ids;
}

const NONE: ReadonlySet<string> = new Set();

/** The rows that changed within the last second. */
export function useFlash<T>(rows: readonly T[], id: (row: T) => string, of?: (row: T) => string): ReadonlySet<string> {
  const before = useRef<ReadonlyMap<string, T>>(new Map());
  const [flashing, setFlashing] = useState(NONE);
  const asks = useRef({ id, of });
  useEffect(() => {
    asks.current = { id, of };
  });
  useEffect(() => {
    const { id: key, of: says } = asks.current;
    if (!says) return;
    const ids = changed(before.current, rows, key, says);
    before.current = new Map(rows.map((row) => [key(row), row]));
    if (ids.size > 0) setFlashing(ids);
  }, [rows]);
  useEffect(() => {
    if (flashing.size === 0) return;
    const timer = setTimeout(() => setFlashing(NONE), 1000);
    return () => clearTimeout(timer);
  }, [flashing]);
  return flashing;
}
