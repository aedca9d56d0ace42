import { serverNow, useNow } from '~/shared/lib/now';
import { duration, parse } from '~/shared/lib/time';
import { Unknown } from './Time';

export function Duration({ seconds, none = 'Not known' }: { seconds: number | null | undefined; none?: string }) {
  if (seconds === null || seconds === undefined) return <Unknown why={none} />;
  return <span style={{ whiteSpace: 'nowrap' }}>{duration(seconds)}</span>;
}

/** Between two moments; ticks while there is no end yet. */
export function Elapsed({ from, to }: { from: string | null | undefined; to?: string | null }) {
  const start = parse(from);
  const end = parse(to);
  useNow(end === undefined ? 1000 : 3_600_000);
  if (start === undefined) return <Unknown why="Not started" />;
  const seconds = ((end ?? serverNow()) - start) / 1000;
  // A clock that runs behind the server's shows nothing negative; a running one has no tenths.
  return <Duration seconds={end === undefined ? Math.max(0, Math.floor(seconds)) : Math.max(0, seconds)} />;
}
