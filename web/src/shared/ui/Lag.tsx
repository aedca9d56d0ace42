import { bytes } from '~/shared/lib/bytes';
import { duration } from '~/shared/lib/time';
import { Unknown } from './Time';

interface Lagging {
  role: string;
  lag_bytes?: number | null;
  lag_seconds?: number | null;
}

export function lagText({ lag_bytes: b, lag_seconds: s }: Lagging): string | undefined {
  if (b === null || b === undefined) return undefined;
  return s === null || s === undefined ? bytes(b) : `${bytes(b)} · ${duration(s)}`;
}

/** How far behind, in bytes and seconds; a primary is behind nothing. */
export function Lag({ node }: { node: Lagging }) {
  if (node.role === 'primary') return <Unknown why="A primary is behind nothing" />;
  const text = lagText(node);
  return text ? <span style={{ whiteSpace: 'nowrap' }}>{text}</span> : <Unknown why="No news of how far it is behind" />;
}
