import { useSyncExternalStore } from 'react';

/** What this browser remembers of how somebody likes the page. Nothing here is secret. */
export interface Preferences {
  compact: boolean;
  hour12: boolean;
  singleKeys: boolean;
  screenReader: boolean;
  /** Columns left out, by table. */
  hidden: Record<string, string[]>;
  project: string | null;
}

const defaults: Preferences = { compact: false, hour12: false, singleKeys: true, screenReader: false, hidden: {}, project: null };
const KEY = 'mainstay-preferences';

function read(): Preferences {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    return typeof kept === 'object' && kept !== null ? { ...defaults, ...kept } : defaults;
  } catch {
    return defaults;
  }
}

let current = read();
const listeners = new Set<() => void>();

export function preference<K extends keyof Preferences>(name: K): Preferences[K] {
  return current[name];
}

export function prefer(change: Partial<Preferences>) {
  current = { ...current, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
  for (const tell of listeners) tell();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePreference<K extends keyof Preferences>(name: K): Preferences[K] {
  return useSyncExternalStore(subscribe, () => current[name]);
}
