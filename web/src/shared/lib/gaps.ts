/** Where no line has a value between two that have: from the last known moment to the next, in seconds. */
export function gapsOf(t: ArrayLike<number>, lines: readonly ArrayLike<number | null | undefined>[]): { from: number; to: number }[] {
  const known = Array.from(t, (_, i) => lines.some((line) => line[i] !== null && line[i] !== undefined));
  const out: { from: number; to: number }[] = [];
  let last = known.indexOf(true);
  if (last < 0) return [];
  for (let i = last + 1; i < t.length; i += 1) {
    if (!known[i]) continue;
    if (i - last > 1) out.push({ from: t[last] as number, to: t[i] as number });
    last = i;
  }
  // The newest pieces may not be measured yet.
  if (t.length - 1 - last > 3) out.push({ from: t[last] as number, to: t[t.length - 1] as number });
  return out;
}
