import { FitAddon } from '@xterm/addon-fit';
import { Terminal, type ITheme } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';

/** What of a console is kept to be scrolled back to. */
const SCROLLBACK = 5000;

export interface Looks {
  fontSize: number;
  screenReader: boolean;
  still: boolean;
}

/** Colours of the page, by the variables it has now. */
function themeOf(): ITheme {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--ms-${name}`).trim();
  const [text, dim, red, yellow, blue] = [of('text'), of('dim'), of('bad-text-ink'), of('warn-ink'), of('accent')];
  return {
    background: of('sunken'),
    foreground: text,
    cursor: blue,
    cursorAccent: of('sunken'),
    selectionBackground: of('selected'),
    selectionForeground: text,
    black: text,
    white: text,
    red,
    yellow,
    blue,
    green: of('good-ink'),
    magenta: of('unknown-ink'),
    cyan: blue,
    brightBlack: dim,
  };
}

/** The terminal that is seen. It is loaded when one is opened, not with the page. */
export class Screen {
  private readonly term: Terminal;
  private readonly fitting = new FitAddon();
  private readonly watcher: ResizeObserver;

  constructor(host: HTMLElement, name: string, looks: Looks, keys: (data: string) => void, leave: () => void) {
    this.term = new Terminal({
      convertEol: false,
      cursorBlink: !looks.still,
      fontFamily: getComputedStyle(host).fontFamily,
      fontSize: looks.fontSize,
      lineHeight: 1.25,
      // Faint and coloured text stays readable on either ground.
      minimumContrastRatio: 4.5,
      screenReaderMode: looks.screenReader,
      scrollback: SCROLLBACK,
      theme: themeOf(),
    });
    this.term.loadAddon(this.fitting);
    this.term.open(host);
    this.name(name);
    this.term.onData(keys);
    this.term.attachCustomKeyEventHandler((event) => {
      if (event.key !== 'F6') return true;
      if (event.type === 'keydown') {
        event.preventDefault();
        leave();
      }
      return false;
    });
    this.watcher = new ResizeObserver(() => this.fit());
    this.watcher.observe(host);
    this.fit();
  }

  get columns(): number {
    return this.term.cols;
  }

  name(name: string) {
    this.term.textarea?.setAttribute('aria-label', name);
  }

  write(text: string) {
    this.term.write(text);
  }

  lines(lines: readonly string[]) {
    if (lines.length > 0) this.term.write(`${lines.join('\r\n')}\r\n`);
  }

  /** All but the line that is typed. */
  clear() {
    this.term.clear();
  }

  focus() {
    this.term.focus();
  }

  text(): string {
    this.term.selectAll();
    const all = this.term.getSelection();
    this.term.clearSelection();
    return all.trimEnd();
  }

  look(looks: Looks) {
    this.term.options.theme = themeOf();
    this.term.options.fontSize = looks.fontSize;
    this.term.options.screenReaderMode = looks.screenReader;
    this.term.options.cursorBlink = !looks.still;
    this.fit();
  }

  private fit() {
    this.fitting.fit();
  }

  dispose() {
    this.watcher.disconnect();
    this.term.dispose();
  }
}
