import { useEffect, useRef } from 'react';
import { preference } from './preferences';

/** `g c` is two keys within a second; everything else is one. */
type Keys = Record<string, (event: KeyboardEvent) => void>;

/** Single keys belong to the page only where nobody types and no layer is open. */
function taken(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  const target = event.target as HTMLElement | null;
  if (target?.closest('input, textarea, select, [contenteditable], [role="menu"], [role="dialog"], [role="alertdialog"], [role="listbox"], .xterm')) return true;
  return document.querySelector('[role="dialog"][data-modal-content], [role="alertdialog"]') !== null;
}

export function useKeys(keys: Keys, enabled = true) {
  const current = useRef(keys);
  useEffect(() => {
    current.current = keys;
  });
  useEffect(() => {
    if (!enabled) return;
    let before: { key: string; at: number } | undefined;
    const listen = (event: KeyboardEvent) => {
      if (taken(event) || !preference('singleKeys')) return;
      const pair = before && event.timeStamp - before.at < 1000 ? `${before.key} ${event.key}` : undefined;
      before = { key: event.key, at: event.timeStamp };
      const run = (pair && current.current[pair]) ?? current.current[event.key];
      if (!run) return;
      event.preventDefault();
      run(event);
    };
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, [enabled]);
}
