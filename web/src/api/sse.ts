/** Server-sent events over `fetch`: unlike EventSource it tells what the server answered. */
export interface Message {
  id?: string;
  event: string;
  data: string;
}

export class Parser {
  private rest = '';

  /** What is complete by now; the rest waits for more. */
  push(chunk: string): Message[] {
    this.rest += chunk;
    const blocks = this.rest.split(/\r?\n\r?\n/);
    this.rest = blocks.pop() ?? '';
    return blocks.map(message).filter((m) => m !== undefined);
  }
}

function message(block: string): Message | undefined {
  const out: Message = { event: 'message', data: '' };
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (field === 'data') data.push(value ?? '');
    else if (field === 'event') out.event = value ?? '';
    else if (field === 'id') out.id = value;
  }
  if (data.length === 0 && out.event === 'message') return undefined;
  return { ...out, data: data.join('\n') };
}

export async function* read(body: ReadableStream<Uint8Array>, onChunk: () => void): AsyncGenerator<Message> {
  const parser = new Parser();
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onChunk();
      yield* parser.push(value);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
