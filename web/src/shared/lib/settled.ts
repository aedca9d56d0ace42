import { useMemo } from 'react';
import { useDebouncedValue } from '@mantine/hooks';

/**
 * What is asked for once it has not changed for a moment, and whether that is what stands there now. Compared by
 * what it says: an object that is made anew with each drawing is no change.
 */
export function useSettled<T>(value: T, wait = 300): { settled: T; current: boolean } {
  const text = JSON.stringify(value) ?? '';
  const [calm] = useDebouncedValue(text, wait);
  const settled = useMemo(() => (calm === '' ? undefined : JSON.parse(calm)) as T, [calm]);
  return { settled, current: calm === text };
}
