import { api } from '~/api/client';
import { ApiProblem, isProblem } from '~/api/problem';
import type { ConsoleAsked, ConsoleEnded, ConsoleSaid } from '~/api/schema';

const PROTOCOL = 'mainstay.terminal.v1';

export interface Place {
  project: string;
  cluster: string;
  node: string;
}

interface Ears {
  said: (said: ConsoleSaid) => void;
  /** Once, whatever way it ended. */
  ended: (ended: ConsoleEnded) => void;
}

function address({ project, cluster, node }: Place): string {
  const path = `/api/v1/clusters/${encodeURIComponent(cluster)}/nodes/${encodeURIComponent(node)}/terminal`;
  return `${location.origin.replace(/^http/, 'ws')}${path}?project=${encodeURIComponent(project)}`;
}

/** A browser does not say why a WebSocket was refused. The same address, asked plainly, does. */
async function reasonOf({ project, cluster, node }: Place): Promise<ConsoleEnded> {
  try {
    await api.GET('/api/v1/clusters/{id}/nodes/{node}/terminal', { params: { path: { id: cluster, node }, query: { project } } });
  } catch (error) {
    if (isProblem(error) && error.code !== 'not_a_websocket') return { code: 'refused', reason: error.detail };
    if (!(error instanceof ApiProblem)) return { code: 'lost', reason: 'Mainstay does not answer. Databases keep running.' };
  }
  return { code: 'lost', reason: 'It was not opened. Try again.' };
}

/** One terminal over one WebSocket. */
export class Link {
  private readonly socket: WebSocket;
  private over = false;
  private opened = false;

  private readonly ears: Ears;

  constructor(place: Place, ears: Ears) {
    this.ears = ears;
    this.socket = new WebSocket(address(place), PROTOCOL);
    this.socket.addEventListener('message', (event) => this.heard(String(event.data)));
    this.socket.addEventListener('close', () => {
      if (this.over) return;
      if (this.opened) this.end({ code: 'lost', reason: 'The connection to Mainstay broke off. An open transaction was rolled back.' });
      else void reasonOf(place).then((ended) => this.end(ended));
    });
  }

  tell(asked: ConsoleAsked) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(asked));
  }

  close() {
    this.end({ code: 'closed', reason: 'Ended.' });
  }

  private heard(data: string) {
    const said = JSON.parse(data) as ConsoleSaid;
    this.opened = true;
    if (said.type === 'ended') this.end(said);
    else if (!this.over) this.ears.said(said);
  }

  private end(ended: ConsoleEnded) {
    if (this.over) return;
    this.over = true;
    this.ears.ended(ended);
    this.socket.close();
  }
}
