import { IconAlertTriangle, IconBan, IconCircleCheck, IconClock } from '@tabler/icons-react';
import type { Token } from '~/api/schema';
import type { Look } from '~/shared/lib/statuses';
import { parse } from '~/shared/lib/time';

const WEEK = 7 * 86_400_000;

/** Whether it opens anything, and for how long. */
export function tokenLook(t: Pick<Token, 'revoked_at' | 'expires_at'>, now: number): Look {
  if (t.revoked_at) return { word: 'Revoked', tone: 'idle', icon: IconBan };
  const end = parse(t.expires_at);
  if (end === undefined) return { word: 'Valid', tone: 'good', icon: IconCircleCheck };
  if (end <= now) return { word: 'Expired', tone: 'idle', icon: IconClock };
  return end - now < WEEK ? { word: 'Expires soon', tone: 'warn', icon: IconAlertTriangle } : { word: 'Valid', tone: 'good', icon: IconCircleCheck };
}

/** Those that open something first, the newest of them first. */
export function inOrder(tokens: readonly Token[], now: number): Token[] {
  const dead = (t: Token) => Number(['Revoked', 'Expired'].includes(tokenLook(t, now).word));
  return tokens.toSorted((a, b) => dead(a) - dead(b) || b.created_at.localeCompare(a.created_at));
}

export const roleSays: Record<string, string> = {
  viewer: 'reads, no secrets',
  operator: 'backups, restores to new clusters, reboots',
  admin: 'everything on clusters',
  owner: 'members, deletion, keys',
};
