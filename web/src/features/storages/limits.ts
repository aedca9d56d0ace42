import type { PatchStorage, Storage } from '~/api/schema';

/** Limits as they are typed: megabytes a second, and a number; empty is no limit. */
export interface LimitsDraft {
  bandwidth: number | string;
  parallel: number | string;
}

const MB = 1_000_000;
const LEAST_MB = 0.1;

export const limitsDraft = (s: Storage): LimitsDraft => ({ bandwidth: s.bandwidth ? s.bandwidth / MB : '', parallel: s.parallel ?? '' });

export function limitsFaults(d: LimitsDraft): Partial<Record<keyof LimitsDraft, string>> {
  const [rate, many] = [Number(d.bandwidth), Number(d.parallel)];
  return {
    ...(d.bandwidth === '' || (Number.isFinite(rate) && rate >= LEAST_MB) ? {} : { bandwidth: `Use ${LEAST_MB} MB/s or more, or leave it empty.` }),
    ...(d.parallel === '' || (Number.isInteger(many) && many >= 1) ? {} : { parallel: 'Use 1 or more, or leave it empty.' }),
  };
}

/** Snapshots share blocks: nothing is written that could be slowed. */
export const takesBandwidth = (s: Storage): boolean => s.kind !== 'snapshot';

export const limitsBody = (d: LimitsDraft, slowed = true): PatchStorage => ({
  ...(slowed ? { bandwidth: d.bandwidth === '' ? null : Math.round(Number(d.bandwidth) * MB) } : {}),
  parallel: d.parallel === '' ? null : Number(d.parallel),
});
