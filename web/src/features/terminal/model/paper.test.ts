import { describe, expect, it } from 'vitest';
import type { ConsoleColumn, ConsoleSaid, ConsoleValue } from '~/api/schema';
import { Paper } from './paper';
import { cell, clean, width } from './width';

const column = (name: string, numeric = false): ConsoleColumn => ({ name, type: null, numeric });
// oxlint-disable-next-line no-control-regex
const plain = (lines: string[]) => lines.map((line) => line.replace(/\u001b\[\d+m/g, ''));
const done = (more: object = {}): ConsoleSaid => ({ type: 'done', tag: 'SELECT', rows: null, cut: null, seconds: 0, ...more });

function shown(...said: ConsoleSaid[]): string[] {
  const paper = new Paper();
  return plain(said.flatMap((s) => paper.of(s)));
}

describe('rows', () => {
  it('stand in columns, also when they come in parts', () => {
    const lines = shown(
      { type: 'columns', columns: [column('id', true), column('näme')] },
      { type: 'rows', rows: [['7', 'ada'], ['123', null]] },
      { type: 'rows', rows: [['8', 'longer\nthan before']] },
      done({ rows: 3, cut: 'cut off: x' }),
    );
    expect(lines).toEqual([' id  | näme', '-----+------', '   7 | ada', ' 123 | NULL', '   8 | longer\\nthan before', '(3 rows)', 'cut off: x']);
  });

  it('have a head although there are none', () => {
    expect(shown({ type: 'columns', columns: [column('a')] }, done({ rows: 0 }))).toEqual([' a', '---', '(0 rows)']);
    expect(shown(done({ tag: 'INSERT 0 1' }))).toEqual(['INSERT 0 1']);
    expect(shown(done({ tag: null }))).toEqual([]);
  });

  it('take two cells for what is two cells wide', () => {
    const lines = shown({ type: 'columns', columns: [column('a'), column('b')] }, { type: 'rows', rows: [['日本', 'x'], ['abcd', 'y']] }, done({ rows: 2 }));
    expect(lines.slice(2, 4)).toEqual([' 日本 | x', ' abcd | y']);
    expect([width('日本'), width('é'), width('e\u0301')]).toEqual([4, 1, 1]);
  });
});

it('shows replies as people know them', () => {
  const value: ConsoleValue = {
    kind: 'list',
    value: [
      { kind: 'text', value: 'a\n"' },
      { kind: 'list', value: [{ kind: 'integer', value: 1 }, { kind: 'nil' }] },
      { kind: 'status', value: 'OK' },
      { kind: 'list', value: [] },
      { kind: 'error', value: 'E' },
    ],
  };
  expect(shown({ type: 'reply', value })).toEqual(['1) "a\\n\\""', '2) 1) (integer) 1', '   2) (nil)', '3) OK', '4) (empty array)', '5) (error) E']);
});

it('points at the place of an error', () => {
  const error: ConsoleSaid = {
    type: 'error',
    message: 'syntax error',
    code: '42601',
    detail: null,
    hint: 'try',
    place: { line: 2, column: 3, text: '  FORM x' },
  };
  expect(shown(error)).toEqual(['error: syntax error (42601)', 'line 2:   FORM x', '          ^', 'hint: try']);
  expect(shown({ ...error, code: 'refused', hint: null, place: null })).toEqual(['error: syntax error']);
});

it('lets nothing steer the terminal', () => {
  const hostile = '\u001b]52;c;aGk=\u0007\u009b2J\u202ex';
  const said: ConsoleSaid[] = [
    { type: 'columns', columns: [column(hostile)] },
    { type: 'rows', rows: [[hostile]] },
    { type: 'reply', value: { kind: 'list', value: [{ kind: 'text', value: hostile }, { kind: 'status', value: hostile }] } },
    { type: 'text', text: hostile },
    { type: 'notice', text: hostile },
    { type: 'error', message: hostile, code: hostile, detail: hostile, hint: hostile, place: { line: 1, column: 1, text: hostile } },
    done({ tag: hostile, cut: hostile }),
  ];
  for (const line of shown(...said)) {
    // oxlint-disable-next-line no-control-regex
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  }
  expect(clean('a\nb')).toBe('a\ufffdb');
  expect(cell('a\nb')).toBe('a\\nb');
});
