import { AccessPage } from '~/features/access/ui/AccessPage';

export function Access() {
  return <AccessPage />;
}
