import { IconAlertTriangle, IconCircleCheck, IconEyeCheck, IconPlayerPause, IconSend2, IconCircleX } from '@tabler/icons-react';
import type { AddNotifier, Alert, Notifier } from '~/api/schema';
import type { Look } from '~/shared/lib/statuses';

/** An alert that somebody has seen is still an alert. */
export function alertLook(a: Pick<Alert, 'state' | 'acknowledged_at'>): Look {
  if (a.state === 'cleared') return { word: 'Cleared', tone: 'idle', icon: IconCircleCheck };
  if (a.acknowledged_at) return { word: 'Seen', tone: 'warn', icon: IconEyeCheck };
  return { word: 'Open', tone: 'bad', icon: IconAlertTriangle };
}

const kinds: Record<string, string> = {
  backup_overdue: 'Backup overdue',
  backup_failed: 'Backup failed',
  backup_partial: 'Backup partial',
  drill_failed: 'Drill failed',
  drill_overdue: 'Drill overdue',
  run_missed: 'Run missed',
  copy_unreadable: 'Stored data unreadable',
  storage_unwell: 'Storage unwell',
  notifier_unwell: 'Notifier unwell',
  control_plane_late: 'Mainstay’s own backup late',
};

export function alertKind(kind: string): string {
  if (Object.hasOwn(kinds, kind)) return kinds[kind] ?? kind;
  const words = kind.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What a notifier can pass on, in the order people ask for it. */
export const events: readonly { value: string; label: string }[] = [
  { value: 'backup_failed', label: 'Backup failed' },
  { value: 'backup_partial', label: 'Backup partial' },
  { value: 'backup_overdue', label: 'Backup overdue' },
  { value: 'backup_succeeded', label: 'Backup succeeded' },
  { value: 'drill_failed', label: 'Drill failed' },
  { value: 'restore_done', label: 'Restore done' },
  { value: 'promotion_done', label: 'Promotion done' },
  { value: 'resync_done', label: 'Resync done' },
  { value: 'migration_done', label: 'Migration done' },
  { value: 'failover', label: 'Failover' },
  { value: 'alert_raised', label: 'Alert raised' },
  { value: 'alert_cleared', label: 'Alert cleared' },
  { value: 'storage_unwell', label: 'Storage unwell' },
];

export function eventsText(chosen: readonly string[]): string {
  if (chosen.includes('all')) return 'Everything, also what is yet to come';
  if (chosen.length === 0) return 'Nothing';
  return chosen.map((e) => events.find((known) => known.value === e)?.label ?? alertKind(e)).join(', ');
}

/** Whether it does what it is there for. */
export function notifierLook(n: Pick<Notifier, 'enabled' | 'failing_since' | 'last_delivered_at'>): Look {
  if (!n.enabled) return { word: 'Off', tone: 'idle', icon: IconPlayerPause };
  if (n.failing_since) return { word: 'Failing', tone: 'bad', icon: IconCircleX };
  if (!n.last_delivered_at) return { word: 'Not tried', tone: 'unknown', icon: IconSend2 };
  return { word: 'Delivers', tone: 'good', icon: IconCircleCheck };
}

export interface NotifierDraft {
  kind: 'webhook' | 'email';
  name: string;
  url: string;
  secret: string;
  smtp: string;
  from: string;
  to: string;
  username: string;
  password: string;
  events: string[];
}

export const emptyNotifier: NotifierDraft = { kind: 'webhook', name: '', url: '', secret: '', smtp: '', from: '', to: '', username: '', password: '', events: [] };

export function notifierFaults(d: NotifierDraft): Partial<Record<keyof NotifierDraft, string>> {
  const out: ReturnType<typeof notifierFaults> = {};
  if (!/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(d.name)) out.name = 'Use a-z, 0-9 and -, starting with a letter, 40 characters at most.';
  if (d.kind === 'webhook') {
    if (!/^https?:\/\/\S+$/.test(d.url)) out.url = 'Use an address that starts with https:// or http://.';
    if (d.secret && (d.secret.length < 16 || d.secret.length > 256)) out.secret = 'Use 16 to 256 characters, or none to have one drawn.';
  } else {
    if (!/^smtps?:\/\/\S+$/.test(d.smtp)) out.smtp = 'Use smtps://host or smtp://host.';
    if (!/^\S+@\S+$/.test(d.from)) out.from = 'Use an e-mail address.';
    if (addresses(d.to).length === 0 || !addresses(d.to).every((a) => /^\S+@\S+$/.test(a))) out.to = 'Use e-mail addresses with commas between.';
  }
  return out;
}

export const addresses = (text: string): string[] =>
  text
    .split(/[,;\s]+/)
    .map((a) => a.trim())
    .filter(Boolean);

export function notifierBody(d: NotifierDraft): AddNotifier {
  const passed = d.events.length > 0 ? { events: d.events } : {};
  if (d.kind === 'webhook') return { kind: d.kind, name: d.name, url: d.url.trim(), ...(d.secret ? { secret: d.secret } : {}), ...passed } as AddNotifier;
  const login = d.username ? { username: d.username.trim(), ...(d.password ? { password: d.password } : {}) } : {};
  return { kind: d.kind, name: d.name, smtp: d.smtp.trim(), from: d.from.trim(), to: addresses(d.to), ...login, ...passed } as AddNotifier;
}
