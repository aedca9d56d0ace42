/**
 * The tabs of a browser share one session. Who signs in or out in one tells the others, so that none goes on
 * showing what the server would refuse, and none waits for the next question to find out.
 */
export type Told = 'in' | 'out';

const NAME = 'mainstay-session';
/** A channel brings what this tab says to its own ears too. */
const here: string = crypto.randomUUID();

export function tellSession(what: Told, from = here) {
  const channel = new BroadcastChannel(NAME);
  channel.postMessage({ what, from });
  channel.close();
}

export function hearSession(hear: (what: Told) => void): () => void {
  const channel = new BroadcastChannel(NAME);
  channel.addEventListener('message', (event: MessageEvent<{ what?: unknown; from?: unknown } | undefined>) => {
    const { what, from } = event.data ?? {};
    if (from !== here && (what === 'in' || what === 'out')) hear(what);
  });
  return () => channel.close();
}
