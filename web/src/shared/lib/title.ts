import { useEffect } from 'react';
import { say } from './announce';

let parts: readonly string[] = [];
let trouble = false;

function write() {
  document.title = `${trouble ? '(!) ' : ''}${[...parts, 'Mainstay'].join(' · ')}`;
}

/** The document's title mirrors the breadcrumbs, the nearest first, and is told when the page changes. */
export function useTitle(...now: string[]) {
  const text = now.join('\n');
  useEffect(() => {
    const changed = parts.join('\n') !== text;
    parts = text.split('\n').filter(Boolean);
    write();
    if (changed) say(document.title);
  }, [text]);
}

/** While something is bad the tab says so. */
export function setTrouble(now: boolean) {
  if (now === trouble) return;
  trouble = now;
  write();
}
