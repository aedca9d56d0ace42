import { createSpotlight } from '@mantine/spotlight';
import { useEffect, useSyncExternalStore } from 'react';

export const [paletteStore, palette] = createSpotlight();
export const openPalette = () => palette.open();

/** What can be done with the object in view: its page says so, and the palette lists it. */
export interface Command {
  id: string;
  label: string;
  run: () => void;
  hint?: string;
}

let commands: readonly Command[] = [];
const listeners = new Set<() => void>();

function set(next: readonly Command[]) {
  commands = next;
  for (const tell of listeners) tell();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const usePageCommands = () => useSyncExternalStore(subscribe, () => commands);

/** Offers commands while the page is there. They open dialogs, they never act. */
export function useCommands(offered: readonly Command[]) {
  const key = offered.map((c) => `${c.id} ${c.label}`).join('\n');
  useEffect(() => {
    set(offered);
    return () => set([]);
    // What is offered is what its names say.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [key]);
}
