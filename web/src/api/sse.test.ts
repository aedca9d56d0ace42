import { expect, it } from 'vitest';
import { Parser } from './sse';

it('reads events whatever they are cut into', () => {
  const parser = new Parser();
  expect(parser.push('id: 7\nevent: change\nda')).toEqual([]);
  expect(parser.push('ta: {"a":1}\ndata: 2\n\n: heartbeat\n\nevent: reset\n\n')).toEqual([
    { id: '7', event: 'change', data: '{"a":1}\n2' },
    { event: 'reset', data: '' },
  ]);
});
