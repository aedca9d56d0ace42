import type { TablerIcon } from '@tabler/icons-react';
import {
  IconAlertTriangle,
  IconArrowBackUp,
  IconArrowsExchange,
  IconBan,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleHalf2,
  IconCircleX,
  IconClock,
  IconClockExclamation,
  IconDatabaseImport,
  IconHandStop,
  IconHelpCircle,
  IconHistory,
  IconHourglassEmpty,
  IconLoader2,
  IconPlayerStop,
  IconPlugConnectedX,
  IconRefresh,
  IconShieldCheck,
  IconShieldCheckFilled,
  IconShieldLock,
  IconShieldQuestion,
  IconTrash,
  IconTrashX,
} from '@tabler/icons-react';

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'idle' | 'unknown';

export interface Look {
  word: string;
  tone: Tone;
  icon: TablerIcon;
}

const look = (word: string, tone: Tone, icon: TablerIcon): Look => ({ word, tone, icon });

const copy: Record<string, Look> = {
  running: look('Running', 'busy', IconLoader2),
  completed: look('Completed', 'good', IconCircleCheck),
  partial: look('Partial', 'warn', IconCircleHalf2),
  failed: look('Failed', 'bad', IconCircleX),
  deleting: look('Deleting', 'idle', IconTrash),
  expired: look('Expired', 'idle', IconHourglassEmpty),
};

/** Every status of every noun: its word, tone and icon. The words are those of the API and the command line. */
export const statuses = {
  cluster: {
    creating: look('Creating', 'busy', IconLoader2),
    running: look('Running', 'good', IconCircleCheck),
    degraded: look('Degraded', 'warn', IconAlertTriangle),
    updating: look('Updating', 'busy', IconRefresh),
    restoring: look('Restoring', 'busy', IconHistory),
    failing_over: look('Failing over', 'warn', IconArrowsExchange),
    unreachable: look('Unreachable', 'unknown', IconPlugConnectedX),
    stopped: look('Stopped', 'idle', IconPlayerStop),
    deleting: look('Deleting', 'busy', IconTrash),
    deleted: look('Deleted', 'idle', IconTrashX),
    failed: look('Failed', 'bad', IconCircleX),
  },
  node: {
    creating: look('Creating', 'busy', IconLoader2),
    seeding: look('Seeding', 'busy', IconDatabaseImport),
    running: look('Running', 'good', IconCircleCheck),
    lagging: look('Lagging', 'warn', IconClockExclamation),
    stopped: look('Stopped', 'idle', IconPlayerStop),
    fenced: look('Fenced', 'warn', IconShieldLock),
    failed: look('Failed', 'bad', IconCircleX),
    unknown: look('Unknown', 'unknown', IconHelpCircle),
  },
  backup: copy,
  copy,
  proof: {
    none: look('Not proved', 'idle', IconCircleDashed),
    verified: look('Verified', 'good', IconShieldCheck),
    drilled: look('Drilled', 'good', IconShieldCheckFilled),
    suspicious: look('Suspicious', 'warn', IconShieldQuestion),
  },
  restore: {
    running: look('Running', 'busy', IconHistory),
    completed: look('Completed', 'good', IconCircleCheck),
    failed: look('Failed', 'bad', IconCircleX),
    undone: look('Undone', 'idle', IconArrowBackUp),
  },
  operation: {
    queued: look('Queued', 'idle', IconClock),
    running: look('Running', 'busy', IconLoader2),
    unwinding: look('Unwinding', 'warn', IconArrowBackUp),
    succeeded: look('Succeeded', 'good', IconCircleCheck),
    failed: look('Failed', 'bad', IconCircleX),
    stuck: look('Stuck', 'bad', IconHandStop),
    cancelled: look('Cancelled', 'idle', IconBan),
  },
} satisfies Record<string, Record<string, Look>>;

export type Noun = keyof typeof statuses;

/** A status this build does not know is shown as its own word, and as unknown: never as good. */
export function lookOf(noun: Noun, status: string): Look {
  const known = (statuses[noun] as Record<string, Look>)[status];
  if (known && Object.hasOwn(statuses[noun], status)) return known;
  const word = status.replaceAll('_', ' ');
  return look(word.charAt(0).toUpperCase() + word.slice(1) || 'Unknown', 'unknown', IconHelpCircle);
}

/** What needs a person comes first. */
const order: Tone[] = ['bad', 'unknown', 'warn', 'busy', 'idle', 'good'];

export function trouble(tone: Tone): number {
  return order.indexOf(tone);
}
