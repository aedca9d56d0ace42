import { expect, it } from 'vitest';
import { allows, changes, entryFault, howMany, parse } from './model';

it.each(['203.0.113.5', '203.0.113.0/24', '0.0.0.0/0', '2001:db8::/32', '::1', '::', '1:2:3:4:5:6:7:8/128'])('%s is an address or range', (text) => {
  expect(parse(text)).toBeDefined();
});

it.each(['', 'localhost', '256.1.1.1', '1.2.3', '1.2.3.4/33', '01.2.3.4', '1.2.3.4/', '1.2.3.4/8/8', '2001:db8::1::2', '1:2:3', '12345::', '2001:db8::/129', '<script>'])(
  '%s is none',
  (text) => expect(parse(text)).toBeUndefined(),
);

it('knows whether the reader would be locked out', () => {
  expect(allows([], '203.0.113.5')).toBe(true);
  expect(allows([{ cidr: '203.0.113.0/24' }], '203.0.113.5')).toBe(true);
  expect(allows([{ cidr: '203.0.113.0/29' }], '203.0.113.9')).toBe(false);
  expect(allows([{ cidr: '2001:db8::/32' }], '2001:db8:1::5')).toBe(true);
  expect(allows([{ cidr: '10.0.0.0/8' }], '::1')).toBe(false);
  expect(allows([{ cidr: '0.0.0.0/0' }], '127.0.0.1')).toBe(true);
});

it('says what is wrong with what was typed, and what changed', () => {
  expect(entryFault('10.0.0.0/8', [{ cidr: '10.0.0.0/8' }])).toMatch(/already/);
  expect(entryFault('ten', [])).toMatch(/^Not an address/);
  const c = changes([{ cidr: 'a', note: 'x' }, { cidr: 'b' }], [{ cidr: 'a', note: 'y' }, { cidr: 'c' }]);
  expect([c.added, c.removed, c.noted, howMany(c)]).toEqual([[{ cidr: 'c' }], [{ cidr: 'b' }], [{ cidr: 'a', note: 'y' }], 3]);
});
