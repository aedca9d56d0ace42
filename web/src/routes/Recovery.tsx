import { RecoveryPage } from '~/features/recovery/ui/RecoveryPage';

export function Recovery() {
  return <RecoveryPage />;
}
