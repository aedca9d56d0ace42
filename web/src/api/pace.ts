import { connection } from './connection';

/** How often a list is asked for again: never while the stream says what changes. */
export const pace = (ms = 5000) => () => (connection().link === 'live' ? (false as const) : ms);
