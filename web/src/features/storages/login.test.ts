import { expect, it } from 'vitest';
import type { Storage } from '~/api/schema';
import { loginBody, loginFaults, loginFields } from './login';

const of = (kind: string, location = '') => loginFields({ kind, location } as Storage);

it('asks for what logs in to a kind, and for nothing where nothing does', () => {
  expect(of('s3').map((f) => f.name)).toEqual(['access_key', 'secret_key', 'ca']);
  expect(of('sftp').map((f) => f.name)).toEqual(['ssh_key', 'host_key']);
  expect(of('borg', 'ssh://borg@far/./x').map((f) => f.name)).toEqual(['ssh_key', 'host_key']);
  expect([of('borg', '/srv/borg'), of('local'), of('snapshot'), of('toString')]).toEqual([[], [], [], []]);
  expect(of('s3').some((f) => f.required)).toBe(false);
});

it('takes another access key with its secret alone', () => {
  expect(loginFaults({ access_key: 'AK' })).toEqual({ secret_key: 'Another access key comes with its own secret key.' });
  expect(loginFaults({ access_key: 'AK', secret_key: 's' })).toEqual({});
  expect(loginFaults({ secret_key: 's' })).toEqual({});
});

it('sends what was filled in, and a key with its last line', () => {
  expect(loginBody(of('s3'), { access_key: ' AK ', secret_key: 's', ca: '' })).toEqual({ access_key: 'AK', secret_key: 's' });
  expect(loginBody(of('sftp'), { ssh_key: 'KEY\r\nEND\r\n' })).toEqual({ ssh_key: 'KEY\nEND\n' });
});
