import type { Storage, WhatIsThere } from '~/api/schema';
import { count } from '~/shared/lib/bytes';
import type { Tone } from '~/shared/lib/statuses';

/** The command for an empty machine, with what reaches the storage; secrets are named by a file, never written. */
export function recoverCommand(s: Storage): string {
  const base = `mainstay recover --key FILE`;
  if (s.kind === 'local' || s.kind === 'snapshot') return `${base} --from ${quoted(s.location)}`;
  if (s.kind === 'borg') return `${base} --kind borg --repository ${quoted(s.location)}`;
  return `${base} --from ${quoted(s.name)}`;
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Whether the backups in it are there when the machine is not. */
export const offMachine = (s: Storage): boolean => s.kind !== 'local' && s.kind !== 'snapshot';

/** What a key opened; good only when it opened all there is. */
export function keySays(found: WhatIsThere, storage: string): { tone: Tone; text: string } {
  const all = found.items.length;
  const opened = found.items.filter((f) => f.opens);
  const backups = opened.reduce((sum, f) => sum + f.backups.length, 0);
  if (all === 0) return { tone: 'unknown', text: `${storage} holds nothing yet: there is nothing to try the key on.` };
  if (opened.length === 0) return { tone: 'bad', text: `The key in that file opens nothing in ${storage}.` };
  if (opened.length < all) return { tone: 'warn', text: `The key opens ${opened.length} of ${count(all, 'repository', 'repositories')} in ${storage}.` };
  return { tone: 'good', text: `The key opens all there is in ${storage}: ${count(backups, 'backup')} of ${count(all, 'repository', 'repositories')}.` };
}

export function keyFile(project: string, name: string): string {
  return `${project}${name === 'default' ? '' : `-${name}`}.recovery-key`;
}
