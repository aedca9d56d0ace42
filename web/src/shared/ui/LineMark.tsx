export const DASH = [undefined, [6, 3], [2, 3], [8, 3, 2, 3]];

/** A piece of a chart's line: its colour and its dash. */
export function LineMark({ index }: { index: number }) {
  return (
    <svg width="20" height="8" aria-hidden>
      <line x1="0" y1="4" x2="20" y2="4" strokeWidth="2" stroke={`var(--ms-series-${(index % 4) + 1})`} strokeDasharray={DASH[index % 4]?.join(' ')} />
    </svg>
  );
}
