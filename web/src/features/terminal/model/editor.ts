import { clean, widthOf } from './width';

/** What came of keys. */
export type Asked = { type: 'line'; text: string } | { type: 'cancel' } | { type: 'end' } | { type: 'clear' };

const HISTORY = 500;
/** Typed while a statement runs; it is taken when it has ended. */
const AHEAD = 64 * 1024;

/** Keys that are more than one character, as terminals send them. */
const KEYS: Record<string, Move> = {
  '\u001b[A': 'up',
  '\u001bOA': 'up',
  '\u001b[B': 'down',
  '\u001bOB': 'down',
  '\u001b[C': 'right',
  '\u001bOC': 'right',
  '\u001b[D': 'left',
  '\u001bOD': 'left',
  '\u001b[1;5C': 'wordRight',
  '\u001b[1;5D': 'wordLeft',
  '\u001b[1;3C': 'wordRight',
  '\u001b[1;3D': 'wordLeft',
  '\u001bf': 'wordRight',
  '\u001bb': 'wordLeft',
  '\u001b[H': 'home',
  '\u001bOH': 'home',
  '\u001b[1~': 'home',
  '\u001b[F': 'end',
  '\u001bOF': 'end',
  '\u001b[4~': 'end',
  '\u001b[3~': 'delete',
  '\u0001': 'home',
  '\u0005': 'end',
  '\u0002': 'left',
  '\u0006': 'right',
  '\u0010': 'up',
  '\u000e': 'down',
  '\u007f': 'back',
  '\b': 'back',
  '\u0017': 'killWord',
  '\u0015': 'killLine',
  '\u000b': 'killRest',
};

type Move = 'up' | 'down' | 'left' | 'right' | 'wordLeft' | 'wordRight' | 'home' | 'end' | 'delete' | 'back' | 'killWord' | 'killLine' | 'killRest';

/** An escape: a control sequence, a shifted one, or one with a single character. */
// oxlint-disable-next-line no-control-regex
const ESCAPE = /^\u001b(?:\[[0-9;?]*[ -/]*[@-~]|O.|.)?/u;

/**
 * The line that is typed. It knows nothing of a screen: keys go in as a terminal sends them, and `draw`
 * says how the line looks by now. What was typed before is kept here, and gone with the page.
 */
export class LineEditor {
  private text: string[] = [];
  private at = 0;
  private prompt = '';
  /** The row of the cursor below the prompt's first one, as it was drawn last. */
  private row = 0;
  private readonly history: string[] = [];
  private back = 0;
  private draft = '';
  private busy = true;
  private ahead = '';

  get isBusy(): boolean {
    return this.busy;
  }

  get value(): string {
    return this.text.join('');
  }

  /** A line may be typed. What was typed ahead of it is taken now. */
  ask(prompt: string): Asked[] {
    // One that comes while somebody types already changes nothing of that.
    if (this.busy) this.reset();
    this.prompt = clean(prompt);
    this.busy = false;
    const ahead = this.ahead;
    this.ahead = '';
    return ahead === '' ? [] : this.keys(ahead);
  }

  /** What was typed ahead is forgotten: what it built on went wrong. How many lines those were. */
  forget(): number {
    const lines = this.ahead.split(/\r\n|\r|\n/).length - 1;
    this.ahead = '';
    return lines;
  }

  /** Keys, or what was pasted. */
  keys(data: string): Asked[] {
    const asked: Asked[] = [];
    let rest = data;
    while (rest !== '') {
      if (this.busy) {
        if (rest.includes('\u0003')) {
          this.ahead = '';
          asked.push({ type: 'cancel' });
        } else if (this.ahead.length + rest.length <= AHEAD) {
          this.ahead += rest;
        }
        return asked;
      }
      const [taken, came] = this.key(rest);
      rest = rest.slice(taken);
      if (came) asked.push(came);
    }
    return asked;
  }

  private key(rest: string): [number, Asked?] {
    const escape = ESCAPE.exec(rest)?.[0];
    if (escape !== undefined) {
      const move = KEYS[escape];
      if (move) this.move(move);
      return [escape.length];
    }
    const first = String.fromCodePoint(rest.codePointAt(0) ?? 0);
    const move = KEYS[first];
    if (move) {
      this.move(move);
      return [1];
    }
    switch (first) {
      case '\r':
      case '\n':
        return [rest.startsWith('\r\n') ? 2 : 1, this.enter()];
      case '\u0003':
        this.text = [];
        this.at = 0;
        this.busy = true;
        return [1, { type: 'cancel' }];
      case '\u0004':
        if (this.text.length === 0) return [1, { type: 'end' }];
        this.move('delete');
        return [1];
      case '\u000c':
        return [1, { type: 'clear' }];
      case '\t':
        this.insert('  ');
        return [1];
      default:
        if (clean(first) === first) this.insert(first);
        return [first.length];
    }
  }

  private enter(): Asked {
    const text = this.value;
    if (text.trim() !== '' && this.history.at(-1) !== text) this.history.push(text);
    if (this.history.length > HISTORY) this.history.shift();
    this.busy = true;
    return { type: 'line', text };
  }

  private insert(text: string) {
    const characters = [...text];
    this.text.splice(this.at, 0, ...characters);
    this.at += characters.length;
  }

  private move(move: Move) {
    switch (move) {
      case 'up':
        return this.recall(1);
      case 'down':
        return this.recall(-1);
      case 'left':
        this.at = Math.max(0, this.at - 1);
        return;
      case 'right':
        this.at = Math.min(this.text.length, this.at + 1);
        return;
      case 'wordLeft':
        this.at = this.wordStart();
        return;
      case 'wordRight':
        while (this.at < this.text.length && this.text[this.at] === ' ') this.at++;
        while (this.at < this.text.length && this.text[this.at] !== ' ') this.at++;
        return;
      case 'home':
        this.at = 0;
        return;
      case 'end':
        this.at = this.text.length;
        return;
      case 'delete':
        this.text.splice(this.at, 1);
        return;
      case 'back':
        if (this.at > 0) this.text.splice(--this.at, 1);
        return;
      case 'killWord': {
        const start = this.wordStart();
        this.text.splice(start, this.at - start);
        this.at = start;
        return;
      }
      case 'killLine':
        this.text.splice(0, this.at);
        this.at = 0;
        return;
      case 'killRest':
        this.text.splice(this.at);
        return;
    }
  }

  private wordStart(): number {
    let at = this.at;
    while (at > 0 && this.text[at - 1] === ' ') at--;
    while (at > 0 && this.text[at - 1] !== ' ') at--;
    return at;
  }

  /** One line further back, or forward again to what was being typed. */
  private recall(by: 1 | -1) {
    const to = this.back + by;
    if (to < 0 || to > this.history.length) return;
    if (this.back === 0) this.draft = this.value;
    this.back = to;
    this.text = [...(to === 0 ? this.draft : (this.history.at(-to) ?? ''))];
    this.at = this.text.length;
  }

  private reset() {
    this.text = [];
    this.at = this.row = this.back = 0;
    this.draft = '';
  }

  /** Draws the line anew from its first row on; the cursor ends where the next character goes. */
  draw(columns: number): string {
    const shown = [...this.prompt, ...this.text];
    const end = placeOf(shown, columns);
    const cursor = placeOf(shown.slice(0, this.prompt.length === 0 ? this.at : [...this.prompt].length + this.at), columns);
    // At the edge a terminal waits for one more character before it goes on to the next row.
    const over = end.column === 0 && end.row > 0 ? '\r\n' : '';
    const out = `${up(this.row)}\r\u001b[J${shown.join('')}${over}${up(end.row - cursor.row)}\r${right(cursor.column)}`;
    this.row = cursor.row;
    return out;
  }

  /** Goes to where output may begin: below the line, however many rows it has. */
  leave(columns: number): string {
    const end = placeOf([...this.prompt, ...this.text], columns);
    const out = `${down(end.row - this.row)}\r\n`;
    this.row = 0;
    return out;
  }
}

const up = (rows: number) => (rows > 0 ? `\u001b[${rows}A` : '');
const down = (rows: number) => (rows > 0 ? `\u001b[${rows}B` : '');
const right = (columns: number) => (columns > 0 ? `\u001b[${columns}C` : '');

/** Where the next character goes after these. */
function placeOf(characters: readonly string[], columns: number): { row: number; column: number } {
  let [row, column] = [0, 0];
  for (const character of characters) {
    const wide = widthOf(character);
    if (column + wide > columns) [row, column] = [row + 1, 0];
    column += wide;
  }
  return column >= columns ? { row: row + 1, column: 0 } : { row, column };
}
