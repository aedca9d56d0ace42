import { count } from '~/shared/lib/bytes';

/** Days by storage, as they are typed or as they are told; empty or absent: as long as the backup. */
export type DaysOf = Readonly<Record<string, number | string>>;

const MOST = 36_500;

/** Names are people's: one that is called like something every object has says nothing by itself. */
export const daysIn = (days: DaysOf | null | undefined, storage: string): number | string => (days && Object.hasOwn(days, storage) ? (days[storage] ?? '') : '');

export interface Wish {
  places: readonly string[];
  days: DaysOf;
  /** Storages that keep snapshots: what lies in them alone is not enough. */
  snapshots?: readonly string[];
  /** How many days the backup is kept, where it is kept by days alone. */
  most?: number;
}

export interface CopyFaults {
  /** By storage. */
  of: Readonly<Record<string, string>>;
  /** Of all together. */
  rule?: string;
}

/** What the server would refuse: it only shortens, and in one storage at least copies stay. */
export function copyFaults({ places, days, snapshots = [], most }: Wish): CopyFaults {
  const of: Record<string, string> = {};
  if (places.length < 2) return { of };
  const wished = places.map((storage) => ({ storage, typed: daysIn(days, storage) })).filter(({ typed }) => typed !== '');
  for (const { storage, typed } of wished) {
    if (typeof typed !== 'number' || !Number.isInteger(typed) || typed < 1 || typed > MOST) of[storage] = `Use 1 to ${MOST} days, or leave it empty.`;
    else if (most !== undefined && typed > most) of[storage] = `The backup itself is kept ${count(most, 'day')}: no copy is kept longer.`;
  }
  const shorter = wished.filter(({ typed }) => typed !== most).map(({ storage }) => storage);
  const stays = places.some((s) => !snapshots.includes(s) && !shorter.includes(s));
  if (shorter.length === 0 || stays) return { of };
  const which = places.some((s) => snapshots.includes(s)) ? ', which keeps no snapshots,' : '';
  return { of, rule: `In one storage at least${which} copies stay as long as their backup: leave that one empty.` };
}

export const hasFaults = (f: CopyFaults): boolean => f.rule !== undefined || Object.keys(f.of).length > 0;

/** What is sent: nothing of storages that are not chosen, or where there is but one. */
export function bodyOf({ places, days }: Pick<Wish, 'places' | 'days'>): Record<string, number> {
  if (places.length < 2) return {};
  return Object.fromEntries(places.map((s) => [s, daysIn(days, s)] as const).filter((e): e is [string, number] => typeof e[1] === 'number'));
}

/** "local for 7 days, far". */
export function placesText(places: readonly string[], days: DaysOf | null | undefined): string {
  return places
    .map((s) => {
      const n = daysIn(days, s);
      return typeof n === 'number' ? `${s} for ${count(n, 'day')}` : s;
    })
    .join(', ');
}

/** Whether copies somewhere are kept for less than before. */
export function shortened(places: readonly string[], was: DaysOf | null | undefined, is: DaysOf): boolean {
  return places.some((s) => {
    const [before, now] = [daysIn(was, s), daysIn(is, s)];
    return typeof now === 'number' && (typeof before !== 'number' || now < before);
  });
}
