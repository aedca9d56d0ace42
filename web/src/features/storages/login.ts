import type { PatchStorage, Storage } from '~/api/schema';
import { addable, filled, type Draft, type Field } from './model';

const LOGIN = ['access_key', 'secret_key', 'ssh_key', 'host_key', 'ca'] as const;

const stays = 'Empty: it stays as it is';

const helps: Record<string, string> = {
  access_key: 'With the secret key that belongs to it. Empty: it stays as it is',
  secret_key: 'Set. Empty: it stays as it is. Kept sealed, never shown',
  ssh_key: 'Set. Empty: it stays as it is. OpenSSH, PEM; kept sealed, never shown',
};

/** What logs in to a storage; nothing where a directory of the machine needs none. */
export function loginFields({ kind, location }: Storage): readonly Field[] {
  if (kind === 'borg' && !location.startsWith('ssh://')) return [];
  const fields = addable.find((k) => k.kind === kind)?.fields ?? [];
  return LOGIN.flatMap((name) => fields.filter((f) => f.name === name)).map((f) => ({ ...f, required: false, help: helps[f.name] ?? stays }));
}

export function loginFaults(draft: Draft): Draft {
  const has = (name: string) => Boolean(draft[name]?.trim());
  return has('access_key') && !has('secret_key') ? { secret_key: 'Another access key comes with its own secret key.' } : {};
}

/** What is sent: only what was filled in. */
export const loginBody = (fields: readonly Field[], draft: Draft): PatchStorage => filled(fields, draft) as PatchStorage;
