import { usePreference } from './preferences';
import type { Clock } from './time';

/** How the reader wants times. */
export function useClock(): Clock {
  return { hour12: usePreference('hour12') };
}
