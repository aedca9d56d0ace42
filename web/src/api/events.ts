import type { QueryClient } from '@tanstack/react-query';
import { connection, heard, lost, setConnection, setMode } from './connection';
import { apply, type Change } from './merge';
import { read } from './sse';

/**
 * One stream of changes for all tabs of the browser: HTTP/1.1 allows six connections in all. The tab that holds
 * the lock listens and tells the others.
 */
const BACK_OFF = [1, 2, 4, 8, 15];
const GATHER_MS = 100;
/** The server sends something at least each 15 s. */
const SILENCE_MS = 35_000;

type Told = { kind: 'changes'; changes: Change[] } | { kind: 'reset' } | { kind: 'link'; link: 'live' | 'polling' | 'lost' | 'signed_out' };

export interface Measurement {
  cluster?: string;
  node?: string;
  [name: string]: unknown;
}

const watchers = new Set<(m: Measurement) => void>();

/** Measurements go to who draws them, not into the cache. */
export function onMeasurement(watch: (m: Measurement) => void) {
  watchers.add(watch);
  return () => watchers.delete(watch);
}

let again: (() => void) | undefined;

/** Tries now instead of after the back-off. */
export function reconnect() {
  again?.();
}

export function follow(client: QueryClient, project: string): () => void {
  const stop = new AbortController();
  const channel = new BroadcastChannel(`mainstay-events-${project}`);
  const gatherer = new Gatherer(client, project);
  const hear = (told: Told) => {
    if (told.kind === 'changes') gatherer.add(told.changes);
    else if (told.kind === 'reset') void client.invalidateQueries({ queryKey: [project] });
    else linked(client, project, told.link);
  };
  const tell = (told: Told) => {
    hear(told);
    channel.postMessage(told);
  };
  channel.addEventListener('message', (event: MessageEvent<Told | { kind: 'who' }>) => {
    if (event.data.kind === 'who') {
      if (leading) channel.postMessage({ kind: 'link', link: connection().link === 'polling' ? 'polling' : 'live' } satisfies Told);
      return;
    }
    hear(event.data);
  });
  let leading = false;
  channel.postMessage({ kind: 'who' });
  const lead = () => {
    leading = true;
    return listen(project, tell, stop.signal);
  };
  // A browser without locks has a stream for each tab.
  const led = navigator.locks ? navigator.locks.request(`mainstay-events-${project}`, { signal: stop.signal }, lead) : lead();
  led.catch(() => undefined);
  return () => {
    stop.abort();
    channel.close();
    gatherer.stop();
  };
}

function linked(client: QueryClient, project: string, link: 'live' | 'polling' | 'lost' | 'signed_out') {
  if (link === 'signed_out') setConnection({ signedOut: true });
  else if (link === 'lost') lost();
  else {
    const was = connection();
    setMode(link);
    // What was missed is asked for once.
    if (was.link !== link && was.link !== 'connecting') void client.invalidateQueries({ queryKey: [project] });
  }
}

async function listen(project: string, tell: (told: Told) => void, signal: AbortSignal) {
  let last: string | undefined;
  for (let failures = 0; !signal.aborted; ) {
    const end = await once(project, last, tell, signal, (id) => {
      last = id;
      failures = 0;
    });
    if (signal.aborted) return;
    if (end === 'absent') {
      tell({ kind: 'link', link: 'polling' });
      await pause(60_000, signal);
      continue;
    }
    tell({ kind: 'link', link: end === 'signed_out' ? 'signed_out' : 'lost' });
    const wait = (BACK_OFF[Math.min(failures, BACK_OFF.length - 1)] ?? 15) * 1000 * (0.8 + Math.random() * 0.4);
    failures += 1;
    setConnection({ retryAt: Date.now() + wait });
    await pause(wait, signal);
  }
}

type End = 'closed' | 'absent' | 'signed_out' | 'failed';

async function once(project: string, last: string | undefined, tell: (told: Told) => void, signal: AbortSignal, on: (id?: string) => void): Promise<End> {
  const silence = new AbortController();
  const both = AbortSignal.any([signal, silence.signal]);
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const sign = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
    heard();
  };
  try {
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (last) headers['last-event-id'] = last;
    const response = await fetch(`/api/v1/events?project=${encodeURIComponent(project)}`, { headers, signal: both });
    if (response.status === 401) return 'signed_out';
    if (response.status === 404) return 'absent';
    if (!response.ok || !response.body) return 'failed';
    sign();
    on(last);
    tell({ kind: 'link', link: 'live' });
    for await (const message of read(response.body, sign)) {
      on(message.id ?? last);
      dispatch(message.event, message.data, tell);
    }
    return 'closed';
  } catch {
    return 'failed';
  } finally {
    clearTimeout(timer);
  }
}

function dispatch(event: string, data: string, tell: (told: Told) => void) {
  if (event === 'reset') return tell({ kind: 'reset' });
  if (!data) return;
  const change = JSON.parse(data) as Change;
  if (event !== 'message' || typeof change.noun !== 'string') return;
  tell({ kind: 'changes', changes: [change] });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      again = undefined;
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    again = done;
  });
}

/** Collects for a moment, then writes once; a hidden tab writes when it is shown. */
class Gatherer {
  private waiting: Change[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly client: QueryClient;
  private readonly project: string;

  constructor(client: QueryClient, project: string) {
    this.client = client;
    this.project = project;
    document.addEventListener('visibilitychange', this.flush);
  }

  add(changes: Change[]) {
    for (const change of changes) {
      if (change.noun === 'measurements') for (const tell of watchers) tell(change.object as Measurement);
      else this.waiting.push(change);
    }
    this.timer ??= setTimeout(this.flush, GATHER_MS);
  }

  flush = () => {
    this.timer = undefined;
    if (document.hidden || this.waiting.length === 0) return;
    const changes = this.waiting;
    this.waiting = [];
    apply(this.client, this.project, changes);
  };

  stop() {
    clearTimeout(this.timer);
    document.removeEventListener('visibilitychange', this.flush);
  }
}
