import { serverNow } from './now';
import { moment, type Clock } from './time';

/** The server writes moments in UTC into its sentences; the reader sees the own zone. */
export function localTimes(text: string, now = serverNow(), clock: Clock = {}): string {
  return text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (at) => moment(Date.parse(at), now, clock));
}

/**
 * The server writes parts of sentences; here each stands by itself: with a capital, a full stop, and times of
 * the reader's. Names keep their letters.
 */
export function asSentence(text: string, now = serverNow(), clock: Clock = {}): string {
  // Commands are marked for who reads it in a terminal.
  const said = localTimes(text, now, clock).trim().replace(/`([^`]+)`/g, '“$1”');
  const end = /[.!?…]$/.test(said) ? '' : '.';
  return `${/^[a-z]+ /.test(said) ? said.charAt(0).toUpperCase() : said.charAt(0)}${said.slice(1)}${end}`;
}
