import { TokensPage } from '~/features/tokens/ui/TokensPage';

export function Tokens() {
  return <TokensPage />;
}
