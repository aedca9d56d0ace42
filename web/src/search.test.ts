import { expect, it } from 'vitest';
import { clusters, metrics, signIn, sortOf, sortText } from './search';

it('sends nobody elsewhere after signing in', () => {
  expect(signIn({ next: '/p/default/clusters?q=a' })).toEqual({ next: '/p/default/clusters?q=a' });
  for (const next of ['//evil.example', 'https://evil.example', 'javascript:alert(1)', '/\\evil.example', 7]) expect(signIn({ next })).toEqual({});
});

it('leaves out what makes no sense', () => {
  expect(clusters({ q: '', status: 'running', only: 'everything', sort: '-name', other: 1 })).toEqual({ status: 'running', sort: '-name' });
  expect(clusters({ q: 42 })).toEqual({ q: '42' });
});

it('reads and writes the order', () => {
  expect(sortOf('-name')).toEqual({ by: 'name', down: true });
  expect(sortText({ by: 'name', down: false })).toBe('name');
});

it('reads which measurements are drawn', () => {
  expect(metrics({ range: '15m', without: ['a-1', 7, '', { a: 1 }] })).toEqual({ range: '15m', without: ['a-1', '7'] });
  expect(metrics({ range: '7d', without: 'a-1' })).toEqual({});
});
