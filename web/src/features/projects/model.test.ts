import { expect, it } from 'vitest';
import { nameFault } from './model';

it('knows what a project cannot be called', () => {
  expect(nameFault('lab', ['default'])).toBeUndefined();
  expect(nameFault('default', ['default'])).toContain('already');
  for (const name of ['', 'Lab', '1st', 'lab-', 'a b']) expect(nameFault(name, [])).toContain('Use a-z');
});
