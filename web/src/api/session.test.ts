import { expect, it, vi } from 'vitest';
import { hearSession, tellSession } from './session';

it('is heard by the other tabs until they stop listening; neither nonsense nor the own voice is', async () => {
  const [one, other] = [vi.fn(), vi.fn()];
  const [deaf, stop] = [hearSession(one), hearSession(other)];
  tellSession('in');
  tellSession('out', 'another tab');
  await vi.waitFor(() => expect([one.mock.calls, other.mock.calls]).toEqual([[['out']], [['out']]]));
  deaf();
  tellSession('sideways' as 'in', 'another tab');
  tellSession('in', 'another tab');
  await vi.waitFor(() => expect(other.mock.calls).toEqual([['out'], ['in']]));
  expect(one).toHaveBeenCalledTimes(1);
  stop();
});
