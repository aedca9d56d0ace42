import type { Parameter } from '~/api/schema';
import { bytes } from '~/shared/lib/bytes';
import { duration } from '~/shared/lib/time';

const SIZES: Record<string, number> = { '': 1, b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 };
const TIMES: Record<string, number> = { '': 1, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

function withUnit(text: string, units: Record<string, number>): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = Object.hasOwn(units, unit.toLowerCase()) ? units[unit.toLowerCase()] : undefined;
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}

const binary = (n: number): string => {
  for (const [unit, size] of [['TB', 1024 ** 4], ['GB', 1024 ** 3], ['MB', 1024 ** 2], ['kB', 1024]] as const) if (n >= size) return `${Math.round((n / size) * 10) / 10}${unit}`;
  return bytes(n);
};

/** What may be said, in words: the range under an input. */
export function rangeOf({ kind }: Parameter): string {
  switch (kind.type) {
    case 'integer':
      return `${kind.min} – ${kind.max}`;
    case 'size':
      return `${binary(kind.min)} – ${binary(kind.max)}, like 64MB`;
    case 'duration':
      return `${duration(kind.min / 1000)} – ${duration(kind.max / 1000)}, like 5min`;
    case 'one_of':
      return kind.values.join(', ');
    case 'boolean':
      return 'on or off';
  }
}

/** Why a value cannot be, or nothing; the server has the last word. */
export function fault(parameter: Parameter, value: string): string | undefined {
  const { kind } = parameter;
  if (kind.type === 'one_of') return kind.values.includes(value) ? undefined : `One of ${kind.values.join(', ')}.`;
  if (kind.type === 'boolean') return ['on', 'off'].includes(value) ? undefined : 'on or off.';
  const units: Record<string, number> = kind.type === 'size' ? SIZES : kind.type === 'duration' ? TIMES : { '': 1 };
  const n = withUnit(value, units);
  if (n === undefined || n < kind.min || n > kind.max || (kind.type === 'integer' && !Number.isInteger(n))) return `Between ${rangeOf(parameter).replace(' – ', ' and ')}.`;
  return undefined;
}

export interface Changed {
  parameter: Parameter;
  from: string;
  to: string;
  /** Back to what the engine does by itself. */
  reset: boolean;
}

export function changed(parameters: readonly Parameter[], settings: Readonly<Record<string, string>>, draft: Readonly<Record<string, string | null>>): Changed[] {
  return parameters.flatMap((parameter) => {
    const wanted = draft[parameter.name];
    if (wanted === undefined) return [];
    const from = settings[parameter.name] ?? parameter.default;
    const to = wanted ?? parameter.default;
    return from === to ? [] : [{ parameter, from, to, reset: wanted === null }];
  });
}
