import { TerminalPage } from '~/features/terminal/ui/TerminalPage';

export function Terminal() {
  return <TerminalPage />;
}
