import type { AddStorage, Backup, Check, Storage } from '~/api/schema';
import { bytes, count } from '~/shared/lib/bytes';

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

export const bodyOf = (kind: string, fields: readonly Field[], draft: Draft): AddStorage => ({ kind, name: draft['name'] ?? '', ...filled(fields, draft) });

/** What was filled in, as it is sent. */
export function filled(fields: readonly Field[], draft: Draft): Partial<AddStorage> {
  const body: Record<string, unknown> = {};
  for (const f of fields) {
    // A key ends with a line feed, and is none without it.
    const value = f.long ? (draft[f.name] ?? '').replace(/\r\n/g, '\n') : (draft[f.name]?.trim() ?? '');
    if (value.trim() !== '') body[f.name] = f.number ? Number(value) : value;
  }
  return body;
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

/** What is to be done where a check fails; the row itself says what was found. */
const ways: Record<string, string> = {
  reach: 'Look whether it runs, whether its address is right and whether this machine may connect to it.',
  sign_in: 'Look whether the key or user was changed there; “Change credentials…” in the storage’s menu takes the new one.',
  bucket: 'Make the bucket, or look whether the access key may see it.',
  directory: 'Make the directory, or let the user that Mainstay runs as enter and write it.',
  permissions: 'Let only the user that Mainstay runs as enter the directory.',
  placement: 'Choose a directory outside of those of databases.',
  writable: 'Look whether the disk is full or mounted read-only, and whether the directory may be written.',
  write: 'Look whether it is full, and whether this access may write.',
  read: 'Keep no backups there: what was written does not come back as it was.',
  list_after_write: 'Keep no backups there until its lists are up to date.',
  multipart: 'Give the access key the rights for uploads in parts, and for taking them back.',
  space: 'Free space there, keep backups for a shorter time, or add a larger storage.',
  clock: 'Set both clocks by NTP.',
};

export const wayOut = (row: Check): string | undefined => (Object.hasOwn(ways, row.name) ? ways[row.name] : undefined);

/** What of a project's backups lies in a storage. */
export interface Stored {
  backups: number;
  clusters: number;
  /** What its copies added, all together; parts that backups share are counted once. */
  bytes: number;
}

export function storedIn(storage: string, backups: readonly Backup[]): Stored {
  const clusters = new Set<string>();
  let [n, sum] = [0, 0];
  for (const b of backups) {
    const copy = b.copies.find((c) => c.storage === storage && c.status !== 'failed' && c.status !== 'expired');
    if (!copy) continue;
    n += 1;
    sum += copy.added_bytes ?? 0;
    clusters.add(b.cluster);
  }
  return { backups: n, clusters: clusters.size, bytes: sum };
}

/** "160 backups of 12 clusters, 41 GB"; of lists that were not read to their end "more than". */
export function storedText({ backups, clusters, bytes: sum }: Stored, whole: boolean): string {
  if (backups === 0) return whole ? 'No backups are in it.' : 'None of the newest backups is in it.';
  return `${whole ? '' : 'More than '}${count(backups, 'backup')} of ${count(clusters, 'cluster')}, ${bytes(sum)} written.`;
}
