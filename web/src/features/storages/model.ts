import type { AddStorage, Check, Storage } from '~/api/schema';

const kinds: Record<string, { title: string; says: string }> = {
  local: { title: 'Local', says: 'A directory on a machine that runs Mainstay.' },
  s3: { title: 'S3', says: 'A bucket of any S3-compatible store.' },
  sftp: { title: 'SFTP', says: 'A directory on another machine, over SSH.' },
  borg: { title: 'Borg', says: 'Borg repositories, here or over SSH.' },
  snapshot: { title: 'Snapshots', says: 'Shared blocks on the machine that runs the cluster: back in moments, lost with the machine.' },
};

export const kindTitleOf = (kind: string): string => (Object.hasOwn(kinds, kind) ? (kinds[kind]?.title ?? kind) : kind);

export interface Field {
  name: keyof AddStorage & string;
  label: string;
  help?: string;
  placeholder?: string;
  required?: boolean;
  secret?: boolean;
  long?: boolean;
  number?: boolean;
  options?: readonly { value: string; label: string }[];
}

const region: Field = { name: 'region', label: 'Region label', help: 'Where it is, for people and for dual region', placeholder: 'eu-central' };

/** Each kind with its own fields alone, those of `storage add`. */
export const addable: readonly { kind: string; title: string; says: string; fields: readonly Field[] }[] = [
  {
    kind: 's3',
    ...(kinds['s3'] as { title: string; says: string }),
    fields: [
      { name: 'endpoint', label: 'Endpoint', placeholder: 'https://s3.eu-central-1.amazonaws.com', help: 'Without the bucket', required: true },
      { name: 'bucket', label: 'Bucket', help: 'It must be there already', required: true },
      { name: 'prefix', label: 'Prefix', help: 'What all names of objects begin with' },
      { name: 'access_key', label: 'Access key', required: true },
      { name: 'secret_key', label: 'Secret key', help: 'Kept sealed, never shown again', required: true, secret: true },
      { name: 's3_region', label: 'Region for signing', help: 'Asked of the server where it is empty', placeholder: 'us-east-1' },
      {
        name: 'path_style',
        label: 'Bucket in the address',
        options: [
          { value: 'auto', label: 'Found out' },
          { value: 'on', label: 'In the path' },
          { value: 'off', label: 'In the host name' },
        ],
      },
      { name: 'ca', label: 'Certificates to trust', help: 'PEM, beside the system’s', long: true },
      region,
    ],
  },
  {
    kind: 'sftp',
    ...(kinds['sftp'] as { title: string; says: string }),
    fields: [
      { name: 'host', label: 'Host', placeholder: 'backup.example.org', required: true },
      { name: 'port', label: 'Port', placeholder: '22', number: true },
      { name: 'user', label: 'User', required: true },
      { name: 'path', label: 'Directory', placeholder: '/srv/mainstay', required: true },
      { name: 'host_key', label: 'Host key', help: 'As known_hosts has it; any other is refused', placeholder: 'ssh-ed25519 AAAA…', required: true, long: true },
      { name: 'ssh_key', label: 'Private key', help: 'OpenSSH, PEM. Kept sealed, never shown again', required: true, secret: true, long: true },
      region,
    ],
  },
  {
    kind: 'borg',
    ...(kinds['borg'] as { title: string; says: string }),
    fields: [
      { name: 'repository', label: 'Repository', placeholder: 'ssh://borg@backup.example.org/./mainstay', help: 'Or an absolute directory on the host', required: true },
      { name: 'host_key', label: 'Host key', help: 'Over SSH: as known_hosts has it', long: true },
      { name: 'ssh_key', label: 'Private key', help: 'Over SSH. Kept sealed, never shown again', secret: true, long: true },
      region,
    ],
  },
  {
    kind: 'local',
    ...(kinds['local'] as { title: string; says: string }),
    fields: [{ name: 'path', label: 'Directory', placeholder: '/mnt/backup', help: 'An absolute path on the host', required: true }, region],
  },
];

export type Draft = Record<string, string>;

export function faults(fields: readonly Field[], draft: Draft): Draft {
  const out: Draft = {};
  if (!/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(draft['name'] ?? '')) out['name'] = 'Use a-z, 0-9 and -, starting with a letter, 40 characters at most.';
  for (const f of fields) {
    const value = draft[f.name]?.trim() ?? '';
    if (f.required && value === '') out[f.name] = `${f.label} is needed.`;
    else if (f.number && value !== '' && !/^\d{1,5}$/.test(value)) out[f.name] = 'Use a number, 1 to 65535.';
  }
  return out;
}

export function bodyOf(kind: string, fields: readonly Field[], draft: Draft): AddStorage {
  const body: Record<string, unknown> = { kind, name: draft['name'] };
  for (const f of fields) {
    // A key ends with a line feed, and is none without it.
    const value = f.long ? (draft[f.name] ?? '').replace(/\r\n/g, '\n') : (draft[f.name]?.trim() ?? '');
    if (value.trim() !== '') body[f.name] = f.number ? Number(value) : value;
  }
  return body as unknown as AddStorage;
}

/** Failed ones are trouble; those that are only advice say what the place lacks. */
export function weaknesses(rows: readonly Check[]): { failed: Check[]; lacks: Check[] } {
  return { failed: rows.filter((r) => !r.ok && !r.optional), lacks: rows.filter((r) => !r.ok && r.optional) };
}

export const unwell = (s: Storage): boolean => s.last_check?.ok === false;

const checks: Record<string, string> = {
  reach: 'Reach',
  reachable: 'Reach',
  sign_in: 'Sign in',
  read_back: 'Read back',
  versioning: 'Versioning',
  object_lock: 'Object lock',
  conditional_put: 'Conditional writes',
  abort_multipart: 'Abort of uploads',
};

export function checkName(name: string): string {
  if (Object.hasOwn(checks, name)) return checks[name] ?? name;
  const words = name.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
