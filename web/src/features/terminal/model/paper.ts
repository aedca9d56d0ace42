import type { ConsoleColumn, ConsoleError, ConsoleSaid, ConsoleValue } from '~/api/schema';
import { cell, clean, lines, width } from './width';

/**
 * What a console says, as text for a terminal: rows in the shape of a table, replies as `redis-cli` shows
 * them. Colours are the terminal's own, and nothing that a value holds steers it.
 */

const WIDEST = 60;
const paint = (code: string) => (text: string) => `\u001b[${code}m${text}\u001b[0m`;
const [bold, dim, red, yellow] = [paint('1'), paint('90'), paint('31'), paint('33')];

const NOTHING = { columns: [] as ConsoleColumn[], widths: [] as number[] };

/** Remembers the table that is being drawn: rows come in parts. */
export class Paper {
  private table = NOTHING;

  /** Lines to be written; none where there is nothing to show. */
  of(said: ConsoleSaid): string[] {
    switch (said.type) {
      case 'columns':
        this.table = { columns: said.columns, widths: [] };
        return [];
      case 'rows':
        return this.rows(said.rows);
      case 'reply':
        return reply(said.value, '').split('\n');
      case 'text':
        return lines(said.text);
      case 'notice':
        return lines(said.text).map(yellow);
      case 'error':
        this.table = NOTHING;
        return error(said);
      case 'done': {
        const { columns, widths } = this.table;
        const head = columns.length > 0 && widths.length === 0 ? this.rows([]) : [];
        const count = said.rows === null || said.rows === undefined ? undefined : `(${said.rows} ${said.rows === 1 ? 'row' : 'rows'})`;
        this.table = NOTHING;
        const last = (columns.length > 0 ? count : undefined) ?? said.tag ?? '';
        return [...head, ...(last ? [dim(clean(last))] : []), ...(said.cut ? [yellow(clean(said.cut))] : [])];
      }
      default:
        return [];
    }
  }

  /** The first ones say how wide a column is, and come after its head. */
  private rows(rows: (string | null)[][]): string[] {
    const shown = rows.map((row) => row.map((value) => (value === null ? 'NULL' : cell(value))));
    const { columns } = this.table;
    const head: string[] = [];
    if (this.table.widths.length === 0) {
      const names = columns.map((c) => cell(c.name));
      const widths = names.map((name, at) => Math.max(width(name), ...shown.map((row) => Math.min(width(row[at] ?? ''), WIDEST))));
      this.table = { columns, widths };
      head.push(bold(this.line(names, false)), widths.map((w) => '-'.repeat(w + 2)).join('+'));
    }
    return [...head, ...shown.map((row) => this.line(row, true))];
  }

  private line(cells: string[], values: boolean): string {
    const { columns, widths } = this.table;
    const one = (text: string, at: number) => {
      const room = ' '.repeat(Math.max(0, (widths[at] ?? 0) - width(text)));
      return values && columns[at]?.numeric ? ` ${room}${text} ` : ` ${text}${room} `;
    };
    return cells.map(one).join('|').trimEnd();
  }
}

function error(e: ConsoleError): string[] {
  const code = e.code && e.code !== 'refused' && !e.message.startsWith(e.code) ? ` (${clean(e.code)})` : '';
  const out = lines(e.message).map((line, at) => red(at === 0 ? `error: ${line}${code}` : line));
  if (e.place) {
    const head = `line ${e.place.line}: `;
    const before = [...e.place.text].slice(0, e.place.column - 1).join('');
    out.push(`${head}${cell(e.place.text)}`, `${' '.repeat(head.length + width(cell(before)))}${red('^')}`);
  }
  if (e.detail) out.push(...lines(`detail: ${e.detail}`));
  if (e.hint) out.push(...lines(`hint: ${e.hint}`));
  return out;
}

const NAMED: Record<string, string> = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const quoted = (text: string) =>
  // oxlint-disable-next-line no-control-regex
  clean(text.replace(/[\\"\u0000-\u001f\u007f-\u009f]/g, (c) => NAMED[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`));

/** `indent` stands before every line but the first. */
function reply(value: ConsoleValue, indent: string): string {
  switch (value.kind) {
    case 'nil':
      return dim('(nil)');
    case 'status':
      return clean(value.value);
    case 'integer':
      return `(integer) ${value.value}`;
    case 'text':
      return `"${quoted(value.value)}"`;
    case 'bytes':
      return `"${clean(value.value)}"`;
    case 'error':
      return red(`(error) ${clean(value.value)}`);
    case 'list':
      return list(value.value, indent);
  }
}

function list(items: ConsoleValue[], indent: string): string {
  if (items.length === 0) return dim('(empty array)');
  const digits = String(items.length).length;
  return items
    .map((item, at) => {
      const number = `${String(at + 1).padStart(digits)}) `;
      return `${at === 0 ? '' : indent}${number}${reply(item, indent + ' '.repeat(number.length))}`;
    })
    .join('\n');
}
