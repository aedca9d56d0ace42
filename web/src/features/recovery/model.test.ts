import { expect, it } from 'vitest';
import { keyFile, keySays, offMachine, recoverCommand } from './model';

const found = (...opens: boolean[]) => ({ items: opens.map((o, n) => ({ opens: o, backups: o ? [{ id: `${n}` }] : [] })) }) as never;

it('calls a key good only when it opens all there is', () => {
  expect(keySays(found(true, true), 'far')).toEqual({ tone: 'good', text: 'The key opens all there is in far: 2 backups of 2 repositories.' });
  expect(keySays(found(true, false), 'far').tone).toBe('warn');
  expect(keySays(found(false), 'far').tone).toBe('bad');
  expect(keySays(found(), 'far').tone).toBe('unknown');
});

it('writes the command for an empty machine', () => {
  expect(recoverCommand({ kind: 'local', location: '/mnt/my disk', name: 'nas' } as never)).toBe("mainstay recover --key FILE --from '/mnt/my disk'");
  expect(recoverCommand({ kind: 'borg', location: 'ssh://borg@host/./x', name: 'b' } as never)).toContain('--repository ssh://borg@host/./x');
  expect(offMachine({ kind: 'local' } as never)).toBe(false);
  expect(keyFile('default', 'default')).toBe('default.recovery-key');
  expect(keyFile('shop', 'ann')).toBe('shop-ann.recovery-key');
});
