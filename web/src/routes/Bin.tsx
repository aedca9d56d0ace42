import { BinPage } from '~/features/bin/ui/BinPage';

export function Bin() {
  return <BinPage />;
}
