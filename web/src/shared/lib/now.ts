import { useSyncExternalStore } from 'react';

/** One timer for all ages of the page; it rests while nobody looks. */
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let drift = 0;
let now = Date.now();

function tick() {
  if (document.hidden) return;
  now = Date.now() + drift;
  for (const tell of listeners) tell();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  if (!timer) {
    now = Date.now() + drift;
    timer = setInterval(tick, 1000);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** How far this machine's clock is behind the server's, in ms. Ages follow the server. */
export function setDrift(ms: number) {
  drift = Math.abs(ms) > 5000 ? ms : 0;
}

export const clockDrift = () => drift;

export const serverNow = () => Date.now() + drift;

/** Ticks each `every` ms: a second where something runs, a minute elsewhere. */
export function useNow(every = 1000): number {
  return useSyncExternalStore(subscribe, () => Math.floor(now / every) * every);
}
