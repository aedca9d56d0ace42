import { expect, it } from 'vitest';
import { addable, bodyOf, faults, weaknesses } from './model';

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
