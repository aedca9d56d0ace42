import type { AllowEntry } from '~/api/schema';

/** An address as its bits, of 4 or 16 bytes; or nothing, where it is none. */
export function parse(text: string): { bytes: number[]; prefix: number } | undefined {
  const [address = '', length, more] = text.trim().split('/');
  if (more !== undefined) return undefined;
  const bytes = address.includes(':') ? six(address) : four(address);
  if (!bytes) return undefined;
  const most = bytes.length * 8;
  if (length === undefined) return { bytes, prefix: most };
  if (!/^\d{1,3}$/.test(length) || Number(length) > most) return undefined;
  return { bytes, prefix: Number(length) };
}

function four(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) < 256)) return undefined;
  return parts.map(Number);
}

function six(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const words = (half: string) => (half === '' ? [] : half.split(':'));
  const [head, tail] = [words(halves[0] ?? ''), words(halves[1] ?? '')];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...Array<string>(Math.max(0, missing)).fill('0'), ...tail];
  if (!all.every((w) => /^[0-9a-f]{1,4}$/i.test(w))) return undefined;
  return all.flatMap((w) => [Number.parseInt(w, 16) >> 8, Number.parseInt(w, 16) & 255]);
}

/** Whether a list lets an address in; an empty one lets everybody. */
export function allows(list: readonly AllowEntry[], address: string): boolean {
  const who = parse(address);
  if (!who) return true;
  return list.length === 0 || list.some((e) => inside(e.cidr, who.bytes));
}

function inside(cidr: string, bytes: readonly number[]): boolean {
  const range = parse(cidr);
  if (range?.bytes.length !== bytes.length) return false;
  for (let bit = 0; bit < range.prefix; bit += 1) {
    const mask = 128 >> (bit % 8);
    if (((range.bytes[bit >> 3] ?? 0) & mask) !== ((bytes[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}

/** Why it cannot be added, or nothing. */
export function entryFault(text: string, list: readonly AllowEntry[]): string | undefined {
  if (!parse(text)) return 'Not an address or range. Examples: 203.0.113.5, 203.0.113.0/24, 2001:db8::/32.';
  return list.some((e) => e.cidr === text.trim()) ? `${text.trim()} is in the list already.` : undefined;
}

export interface Changes {
  added: AllowEntry[];
  removed: AllowEntry[];
  /** A note that is another now. */
  noted: AllowEntry[];
}

export function changes(before: readonly AllowEntry[], after: readonly AllowEntry[]): Changes {
  const find = (list: readonly AllowEntry[], e: AllowEntry) => list.find((o) => o.cidr === e.cidr);
  return {
    added: after.filter((e) => !find(before, e)),
    removed: before.filter((e) => !find(after, e)),
    noted: after.filter((e) => (find(before, e)?.note ?? e.note ?? '') !== (e.note ?? '')),
  };
}

export const howMany = (c: Changes): number => c.added.length + c.removed.length + c.noted.length;
