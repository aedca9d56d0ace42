import { expect, it } from 'vitest';
import { lastOwner } from './model';

const member = (id: string, role: string, disabled = false) => ({ id, role, disabled }) as never;

it('keeps the last owner who can sign in', () => {
  const [ann, bob, off] = [member('ann', 'owner'), member('bob', 'admin'), member('off', 'owner', true)];
  expect(lastOwner([ann, bob, off], ann, 'shop')).toContain('shop needs an owner');
  expect(lastOwner([ann, bob, off], bob, 'shop')).toBeUndefined();
  expect(lastOwner([ann, member('eve', 'owner')], ann, 'shop')).toBeUndefined();
});
