import { useSyncExternalStore } from 'react';

/**
 * How the page hears from the server. `live`: events come by themselves. `polling`: the server has no
 * event stream, so lists are asked for again every few seconds, and the page says so.
 */
export type Link = 'connecting' | 'live' | 'polling' | 'reconnecting' | 'offline';

export interface Connection {
  link: Link;
  /** When the server was last heard. */
  heardAt: number;
  /** Since when it is not heard. */
  lostAt?: number;
  /** When it is tried again. */
  retryAt?: number;
  signedOut: boolean;
}

let current: Connection = { link: 'connecting', heardAt: Date.now(), signedOut: false };
const listeners = new Set<() => void>();

export function connection(): Connection {
  return current;
}

export function setConnection(change: Partial<Connection>) {
  const next = { ...current, ...change };
  const same = (Object.keys(next) as (keyof Connection)[]).every((k) => next[k] === current[k]);
  current = next;
  if (!same) for (const tell of listeners) tell();
}

export function subscribeConnection(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useConnection(): Connection {
  return useSyncExternalStore(subscribeConnection, connection);
}

/** Acting needs a server that answers. */
export function useConnected(): boolean {
  return useConnection().link !== 'offline';
}

const RECONNECTING_MS = 3000;
const OFFLINE_MS = 10_000;
let timers: ReturnType<typeof setTimeout>[] = [];
let mode: 'connecting' | 'live' | 'polling' = 'connecting';

/** Whether events come or the page asks. */
export function setMode(to: 'live' | 'polling') {
  mode = to;
  heard();
  setConnection({ link: mode });
}

/** Each answer, good or bad, is a sign of life. */
export function heard() {
  const at = Date.now();
  if (current.lostAt !== undefined) {
    for (const timer of timers) clearTimeout(timer);
    timers = [];
    setConnection({ heardAt: at, lostAt: undefined, retryAt: undefined, link: mode });
  } else if (at - current.heardAt > 1000) {
    // Ten a second would wake every listener for nothing.
    setConnection({ heardAt: at });
  }
}

/** A moment without an answer is not told at once: most are over before anybody reads it. */
export function lost() {
  if (current.lostAt !== undefined) return;
  setConnection({ lostAt: Date.now() });
  timers = [
    setTimeout(() => setConnection({ link: 'reconnecting' }), RECONNECTING_MS),
    setTimeout(() => setConnection({ link: 'offline' }), OFFLINE_MS),
  ];
}
