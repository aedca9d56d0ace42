import { describe, expect, it } from 'vitest';
import { LineEditor } from './editor';

const ESC = '\u001b';

function asked(): LineEditor {
  const editor = new LineEditor();
  editor.ask('db=> ');
  return editor;
}

/** A screen of so many columns that knows what the editor writes. */
class Screen {
  rows: string[][] = [[]];
  row = 0;
  column = 0;
  readonly columns: number;
  constructor(columns: number) {
    this.columns = columns;
  }
  write(text: string) {
    // oxlint-disable-next-line no-control-regex
    for (const [part, count, kind] of text.matchAll(/\u001b\[(\d*)([A-Z])|[^]/gu)) {
      const n = Number(count || 1);
      if (kind === 'A') this.row -= n;
      else if (kind === 'B') this.row += n;
      else if (kind === 'C') this.column += n;
      else if (kind === 'J') {
        this.rows.length = this.row + 1;
        this.line().length = this.column;
      } else if (part === '\r') this.column = 0;
      else if (part === '\n') this.row++;
      else {
        if (this.column === this.columns) [this.row, this.column] = [this.row + 1, 0];
        this.line()[this.column++] = part;
      }
    }
    this.line();
  }
  private line(): string[] {
    while (this.rows.length <= this.row) this.rows.push([]);
    return this.rows[this.row] ?? [];
  }
  get text() {
    return this.rows.map((row) => row.join(''));
  }
}

describe('editing', () => {
  it('types, moves, deletes and enters', () => {
    const editor = asked();
    expect(editor.keys('selct 1')).toEqual([]);
    editor.keys(`${ESC}[D`.repeat(4));
    editor.keys('e');
    editor.keys(`${ESC}[F;`);
    expect(editor.value).toBe('select 1;');
    editor.keys(`${ESC}[H${ESC}[3~S${ESC}OF`);
    expect(editor.keys('\r')).toEqual([{ type: 'line', text: 'Select 1;' }]);
    expect(editor.isBusy).toBe(true);
  });

  it('deletes words, the beginning and the rest', () => {
    const editor = asked();
    editor.keys('insert into t  \u0017x');
    expect(editor.value).toBe('insert into x');
    editor.keys(`${ESC}[1;5D${ESC}b\u000b`);
    expect(editor.value).toBe('insert ');
    editor.keys(`${ESC}[D\u0015`);
    expect(editor.value).toBe(' ');
  });

  it('takes characters of more than one unit as one', () => {
    const editor = asked();
    editor.keys('a😀b');
    editor.keys(`${ESC}[D\u007f`);
    expect(editor.value).toBe('ab');
  });

  it('ignores keys it does not know', () => {
    const editor = asked();
    editor.keys(`a${ESC}[200~b${ESC}[5~${ESC}OPc\u0000\u001fd`);
    expect(editor.value).toBe('abcd');
  });
});

describe('history', () => {
  it('goes back and forth and keeps what was being typed', () => {
    const editor = asked();
    for (const line of ['one', 'two', 'two', '  ']) {
      editor.keys(`${line}\r`);
      editor.ask('> ');
    }
    editor.keys('dra');
    editor.keys(`${ESC}[A`);
    expect(editor.value).toBe('two');
    editor.keys(`${ESC}[A${ESC}[A`);
    expect(editor.value).toBe('one');
    editor.keys(`${ESC}[B${ESC}[B`);
    expect(editor.value).toBe('dra');
  });
});

it('keeps what is being typed when it is asked again', () => {
  const editor = asked();
  editor.keys('sel');
  expect(editor.ask('db=> ')).toEqual([]);
  expect(editor.value).toBe('sel');
});

describe('while a statement runs', () => {
  it('keeps what is typed for the next prompt, line by line', () => {
    const editor = asked();
    expect(editor.keys('a;\rb;\rc')).toEqual([{ type: 'line', text: 'a;' }]);
    expect(editor.ask('> ')).toEqual([{ type: 'line', text: 'b;' }]);
    expect(editor.ask('> ')).toEqual([]);
    expect(editor.value).toBe('c');
  });

  it('cancels with Ctrl-C and forgets what was typed ahead', () => {
    const editor = asked();
    editor.keys('a;\rb;\r');
    expect(editor.keys('\u0003')).toEqual([{ type: 'cancel' }]);
    expect(editor.ask('> ')).toEqual([]);
    expect(editor.value).toBe('');
  });

  it('says how many lines it forgets after an error', () => {
    const editor = asked();
    editor.keys('a;\rb;\rc;\rd');
    expect(editor.forget()).toBe(2);
    expect(editor.ask('> ')).toEqual([]);
  });
});

it('asks for the end, for a clear screen, and to forget an unfinished line', () => {
  const editor = asked();
  expect(editor.keys('\u000c')).toEqual([{ type: 'clear' }]);
  expect(editor.keys('abc\u0003')).toEqual([{ type: 'cancel' }]);
  editor.ask('> ');
  expect(editor.keys('\u0004')).toEqual([{ type: 'end' }]);
});

describe('drawing', () => {
  it.each([10, 11, 12, 40])('shows the line and the cursor on %d columns', (columns) => {
    const [editor, screen] = [asked(), new Screen(columns)];
    const draw = () => screen.write(editor.draw(columns));
    draw();
    for (const key of [...'select 12345 from t', `${ESC}[D`, `${ESC}[D`, 'x', `${ESC}[H`, 'y', '\u007f', `${ESC}[F`, '\u007f']) {
      editor.keys(key);
      draw();
      const all = `db=> ${editor.value}`;
      expect(screen.text.join('')).toBe(all);
    }
    editor.keys(`${ESC}[H`);
    draw();
    expect([screen.row, screen.column]).toEqual([0, 5]);
    screen.write(editor.leave(columns));
    expect(screen.text.at(-1)).toBe('');
  });
});
