import { createContext, useContext } from 'react';

/** The dialogs of a cluster; every button, key and command of its pages opens one of these. */
export type Dialog =
  | { what: 'backup' | 'add' | 'resync' | 'rotate' | 'start' | 'stop' | 'restart' | 'delete' }
  | { what: 'promote' | 'reboot' | 'remove'; node: string };

export const DialogContext = createContext<(dialog: Dialog) => void>(() => undefined);

export const useDialog = () => useContext(DialogContext);
