import { useCallback, useEffect, useRef, useState, type RefObject } from 'react';
import { useReducedMotion } from '@mantine/hooks';
import { useComputedColorScheme } from '@mantine/core';
import type { ConsoleEnded, ConsoleOpened, ConsoleSaid } from '~/api/schema';
import { say } from '~/shared/lib/announce';
import { usePreference } from '~/shared/lib/preferences';
import { LineEditor, type Asked } from '../model/editor';
import { Link, type Place } from '../model/link';
import { Paper } from '../model/paper';
import { endSentence, greeting } from '../model/words';
import type { Looks, Screen } from './screen';

export type State =
  | { is: 'closed' }
  | { is: 'opening' }
  | { is: 'open'; opened: ConsoleOpened; since: number; inTransaction: boolean }
  | { is: 'ended'; ended: ConsoleEnded };

export interface Console {
  state: State;
  open: (place: Place) => void;
  close: () => void;
  clear: () => void;
  copy: () => void;
  keys: (data: string) => void;
}

/** One console at a time, and the screen that shows it. The screen stays when the console has ended. */
export function useConsole(host: RefObject<HTMLDivElement | null>, fontSize: number, leave: () => void): Console {
  const [state, setState] = useState<State>({ is: 'closed' });
  const parts = useRef<{ screen?: Screen; link?: Link; editor: LineEditor; paper: Paper }>({ editor: new LineEditor(), paper: new Paper() });
  const leaving = useRef(leave);
  const looks = useLooks(fontSize);
  const looking = useRef(looks);

  useEffect(() => {
    leaving.current = leave;
  });
  useEffect(() => {
    looking.current = looks;
    // The page's variables change with the next frame.
    const frame = requestAnimationFrame(() => parts.current.screen?.look(looks));
    return () => cancelAnimationFrame(frame);
  }, [looks]);
  useEffect(() => {
    const all = parts.current;
    return () => {
      all.link?.close();
      all.screen?.dispose();
      all.link = all.screen = undefined;
    };
  }, []);

  const draw = useCallback(() => {
    const { screen, editor } = parts.current;
    if (screen && !editor.isBusy) screen.write(editor.draw(screen.columns));
  }, []);

  const ask = useCallback(
    (asked: readonly Asked[]) => {
      const { screen, link, editor } = parts.current;
      if (!screen || !link) return;
      for (const one of asked) {
        if (one.type === 'line') link.tell({ type: 'line', text: one.text });
        else if (one.type === 'cancel') link.tell({ type: 'cancel' });
        else if (one.type === 'clear') screen.clear();
        else link.close();
        if (one.type === 'line') screen.write(editor.leave(screen.columns));
        if (one.type === 'cancel') screen.write('^C\r\n');
      }
      draw();
    },
    [draw],
  );

  const keys = useCallback(
    (data: string) => {
      const { screen, editor, link } = parts.current;
      if (!screen || !link) return;
      // The line is drawn as it was typed, before it goes.
      const before = editor.isBusy;
      const asked = editor.keys(data);
      if (!before && editor.isBusy && asked.some((a) => a.type === 'line')) screen.write(editor.draw(screen.columns));
      ask(asked);
    },
    [ask],
  );

  const said = useCallback(
    (place: Place, one: ConsoleSaid) => {
      const { screen, editor, paper } = parts.current;
      if (!screen) return;
      if (one.type === 'opened') {
        screen.name(`Console of ${place.node}. F6 leaves it.`);
        screen.lines(greeting(one));
        setState({ is: 'open', opened: one, since: Date.now(), inTransaction: false });
        say(`The console of ${place.node} is open`);
        screen.focus();
        return;
      }
      if (one.type === 'prompt') {
        const { in_transaction: inTransaction } = one;
        setState((now) => (now.is === 'open' && now.inTransaction !== inTransaction ? { ...now, inTransaction } : now));
        const ahead = editor.ask(one.text);
        if (ahead.some((a) => a.type === 'line')) screen.write(editor.draw(screen.columns));
        ask(ahead);
        return;
      }
      screen.lines(paper.of(one));
      if (one.type === 'error') {
        const forgotten = editor.forget();
        if (forgotten > 0) screen.lines([`${forgotten} more ${forgotten === 1 ? 'line was' : 'lines were'} not sent.`]);
      }
    },
    [ask],
  );

  const open = useCallback(
    (place: Place) => {
      setState({ is: 'opening' });
      const lost = () => setState({ is: 'ended', ended: { code: 'lost', reason: 'Mainstay does not answer. Databases keep running.' } });
      import('./screen').then(({ Screen }) => {
        const all = parts.current;
        if (!host.current) return;
        all.link?.close();
        all.screen?.dispose();
        all.editor = new LineEditor();
        all.paper = new Paper();
        all.screen = new Screen(host.current, `Console of ${place.node}`, looking.current, keys, () => leaving.current());
        all.link = new Link(place, {
          said: (one) => said(place, one),
          ended: (ended) => {
            all.link = undefined;
            all.screen?.write('\r\n');
            setState({ is: 'ended', ended });
            say(endSentence(ended), 'assertive');
          },
        });
      }, lost);
    },
    [host, keys, said],
  );

  const close = useCallback(() => parts.current.link?.close(), []);
  const clear = useCallback(() => {
    parts.current.screen?.clear();
    parts.current.screen?.focus();
  }, []);
  const copy = useCallback(() => {
    const text = parts.current.screen?.text();
    if (text === undefined) return;
    void navigator.clipboard.writeText(text).then(
      () => say('Copied'),
      () => say('The browser does not let this page copy.'),
    );
  }, []);
  return { state, open, close, clear, copy, keys };
}

function useLooks(fontSize: number): Looks {
  const scheme = useComputedColorScheme('light');
  const screenReader = usePreference('screenReader');
  const still = useReducedMotion();
  const [looks, setLooks] = useState<Looks & { scheme: string }>({ fontSize, screenReader, still, scheme });
  if (looks.fontSize !== fontSize || looks.screenReader !== screenReader || looks.still !== still || looks.scheme !== scheme) {
    setLooks({ fontSize, screenReader, still, scheme });
  }
  return looks;
}
