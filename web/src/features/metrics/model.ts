import type { Node, NodeMetrics } from '~/api/schema';

/** What is known of a node at one moment; a rate needs the moment before. */
export interface Sample {
  at: number;
  cpu_seconds: number;
  memory: number;
  diskUsed: number;
  connections: number | null;
  lagBytes: number | null;
  lagSeconds: number | null;
}

export type Metric = 'cpu' | 'memory' | 'disk' | 'connections' | 'lag_bytes' | 'lag_seconds';

export function sample(at: number, m: NodeMetrics, node: Node): Sample {
  return {
    at,
    cpu_seconds: m.cpu_seconds,
    memory: m.memory_bytes,
    diskUsed: m.disk_total_bytes > 0 ? (100 * (m.disk_total_bytes - m.disk_free_bytes)) / m.disk_total_bytes : 0,
    connections: m.connections ?? node.connections ?? null,
    lagBytes: node.role === 'primary' ? null : (node.lag_bytes ?? null),
    lagSeconds: node.role === 'primary' ? null : (node.lag_seconds ?? null),
  };
}

const RING = 15 * 60_000;
/** Two looks further apart than this have a gap between them. */
const GAP = 16_000;

/** Keeps a quarter of an hour. A counter that fell back began anew: its rate is not known. */
export class Ring {
  private samples: Sample[] = [];

  push(next: Sample) {
    const last = this.samples.at(-1);
    if (last && next.at - last.at < 500) return;
    this.samples.push(next);
    this.samples = this.samples.filter((s) => next.at - s.at <= RING);
  }

  get length() {
    return this.samples.length;
  }

  get last(): Sample | undefined {
    return this.samples.at(-1);
  }

  /** Times in seconds and values; `null` where nothing is known, which is drawn as a gap. */
  series(metric: Metric): { x: number[]; y: (number | null)[] } {
    const x: number[] = [];
    const y: (number | null)[] = [];
    this.samples.forEach((s, i) => {
      const before = this.samples[i - 1];
      if (before && s.at - before.at > GAP) {
        x.push((before.at + 1000) / 1000);
        y.push(null);
      }
      x.push(s.at / 1000);
      y.push(value(metric, s, before));
    });
    return { x, y };
  }
}

function value(metric: Metric, s: Sample, before?: Sample): number | null {
  switch (metric) {
    case 'cpu': {
      const spent = before && s.at - before.at <= GAP ? s.cpu_seconds - before.cpu_seconds : -1;
      return before && spent >= 0 ? (100 * spent) / ((s.at - before.at) / 1000) : null;
    }
    case 'memory':
      return s.memory;
    case 'disk':
      return s.diskUsed;
    case 'connections':
      return s.connections;
    case 'lag_bytes':
      return s.lagBytes;
    case 'lag_seconds':
      return s.lagSeconds;
  }
}

/** Puts several nodes on one axis: each time once, a hole where a node has no value then. */
export function join(all: readonly { x: number[]; y: (number | null)[] }[]): (number | null | undefined)[][] {
  const times = [...new Set(all.flatMap((s) => s.x))].toSorted((a, b) => a - b);
  return [times, ...all.map((s) => {
    const at = new Map(s.x.map((t, i) => [t, s.y[i]]));
    // `undefined` is no point at all, and the line goes on; `null` is a gap.
    return times.map((t) => at.get(t));
  })];
}

export interface Summary {
  now: number | null;
  highest: number | null;
  at?: number;
}

export function summary(s: { x: number[]; y: (number | null)[] }): Summary {
  let highest: number | null = null;
  let at: number | undefined;
  s.y.forEach((v, i) => {
    if (v !== null && (highest === null || v > highest)) {
      highest = v;
      at = s.x[i];
    }
  });
  return { now: s.y.at(-1) ?? null, highest, at };
}
