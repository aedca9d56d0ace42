import { useEffect, useRef, type KeyboardEvent, type RefObject } from 'react';
import { useKeys } from '~/shared/lib/hotkeys';

/** Where a row stands in a list of which not all rows are drawn. */
const indexOf = (row: HTMLElement): number => Number(row.getAttribute('aria-rowindex') ?? 0);

interface Acts {
  open: () => void;
  choose: () => void;
}

/** `j` and `k` or arrows walk the rows, Enter opens, `x` chooses, `.` opens the menu. */
export function useRowKeys(place: RefObject<HTMLElement | null>, of: (id: string) => Acts | undefined) {
  const rows = () => [...(place.current?.querySelectorAll<HTMLElement>('tr[data-row]') ?? [])];
  const current = () => rows().find((row) => row.contains(document.activeElement));
  const go = (by: number) => {
    const all = rows();
    const at = all.findIndex((row) => row.contains(document.activeElement));
    const [from, to] = [all[at], all[Math.min(Math.max(at + by, 0), all.length - 1)]];
    // The row beside may not be drawn yet: it is brought near first.
    if (from && to && Math.abs(indexOf(from) - indexOf(to)) > 1) from.scrollIntoView({ block: 'nearest' });
    else to?.focus();
  };
  const acts = useRef(of);
  useEffect(() => {
    acts.current = of;
  });
  const mine = () => {
    const row = current();
    return row?.dataset['row'] ? acts.current(row.dataset['row']) : undefined;
  };
  useKeys({
    j: () => go(1),
    k: () => go(-1),
    x: () => mine()?.choose(),
    '.': () => current()?.querySelector<HTMLElement>('[data-row-menu]')?.click(),
  });
  return (event: KeyboardEvent) => {
    const row = event.target as HTMLElement;
    if (row.tagName !== 'TR') return;
    if (event.key === 'ArrowDown') go(1);
    else if (event.key === 'ArrowUp') go(-1);
    else if (event.key === 'Enter' && row.dataset['row']) acts.current(row.dataset['row'])?.open();
    else return;
    event.preventDefault();
  };
}
