import { BackupsPage } from '~/features/backups/ui/BackupsPage';

export function Backups() {
  return <BackupsPage />;
}
