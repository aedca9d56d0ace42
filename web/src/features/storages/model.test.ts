import { expect, it } from 'vitest';
import { addable, bodyOf, faults, weaknesses, storedIn, storedText, wayOut } from './model';

const sftp = addable.find((k) => k.kind === 'sftp')!;
const local = addable.find((k) => k.kind === 'local')!;

it('asks for what a kind needs, and nothing else', () => {
  expect(Object.keys(faults(local.fields, {}))).toEqual(['name', 'path']);
  expect(faults(local.fields, { name: 'nas', path: '/mnt/nas' })).toEqual({});
  expect(faults(sftp.fields, { name: 'x', host: 'h', user: 'u', path: '/p', host_key: 'k', ssh_key: 's', port: 'ssh' })).toEqual({ port: 'Use a number, 1 to 65535.' });
});

it('sends what was filled in, a key with its last line', () => {
  const draft = { name: 'far', host: ' h ', user: 'u', path: '/p', port: '2222', host_key: 'ssh-ed25519 A', ssh_key: 'KEY\r\nEND\r\n', region: '', bucket: 'of another kind' };
  expect(bodyOf('sftp', sftp.fields, draft)).toEqual({ kind: 'sftp', name: 'far', host: 'h', user: 'u', path: '/p', port: 2222, host_key: 'ssh-ed25519 A', ssh_key: 'KEY\nEND\n' });
});

it('tells trouble from what a place lacks', () => {
  const rows = [
    { name: 'reach', ok: true, detail: '' },
    { name: 'write', ok: false, detail: '' },
    { name: 'versioning', ok: false, optional: true, detail: '' },
  ];
  const { failed, lacks } = weaknesses(rows as never);
  expect([failed.map((r) => r.name), lacks.map((r) => r.name)]).toEqual([['write'], ['versioning']]);
});

const backup = (cluster: string, ...copies: [string, string, number?][]) => ({ cluster, copies: copies.map(([storage, status, added_bytes]) => ({ storage, status, added_bytes })) }) as never;

it('counts what lies in a storage', () => {
  const all = [backup('shop', ['local', 'completed', 1000], ['far', 'failed']), backup('shop', ['local', 'completed', 500]), backup('cache', ['local', 'running'])];
  expect(storedIn('local', all)).toEqual({ backups: 3, clusters: 2, bytes: 1500 });
  expect(storedText(storedIn('local', all), true)).toBe('3 backups of 2 clusters, 1.5 kB written.');
  expect(storedText(storedIn('local', all), false)).toContain('More than 3 backups');
  expect(storedText(storedIn('far', all), true)).toBe('No backups are in it.');
});

it('has a way out for what fails, and none for what it does not know', () => {
  expect(wayOut({ name: 'space', ok: false, detail: '' })).toContain('Free space');
  expect(wayOut({ name: 'toString', ok: false, detail: '' })).toBeUndefined();
});
