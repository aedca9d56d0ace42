const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Decimal, as disks are sold, with three digits at most: 980 B, 1.2 MB, 12.4 GB. */
export function bytes(value: number): string {
  let n = Math.abs(value);
  let unit = 0;
  // 999.6 kB is 1 MB, not "1000 kB".
  while (unit < UNITS.length - 1 && n >= 999.5) {
    n /= 1000;
    unit += 1;
  }
  const text = unit === 0 || n >= 99.95 ? n.toFixed(0) : n.toFixed(1).replace(/\.0$/, '');
  return `${value < 0 ? '−' : ''}${text} ${UNITS[unit]}`;
}

/** All of it, for a look from near: 12,412,345,678 bytes. */
export function exactBytes(value: number): string {
  return `${new Intl.NumberFormat('en').format(value)} ${value === 1 ? 'byte' : 'bytes'}`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${new Intl.NumberFormat('en').format(n)} ${n === 1 ? one : many}`;
}

/** Without decimals above 1. */
export function percent(value: number): string {
  return `${value > 0 && value < 1 ? value.toFixed(1) : Math.round(value)} %`;
}
