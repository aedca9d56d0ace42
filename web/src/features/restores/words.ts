import { moment } from '~/shared/lib/time';
import { serverNow } from '~/shared/lib/now';

/** The server writes moments in UTC into its sentences; the reader sees the own zone. */
export function localTimes(text: string, now = serverNow()): string {
  return text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (at) => moment(Date.parse(at), now));
}
