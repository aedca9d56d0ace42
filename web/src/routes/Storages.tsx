import { StoragesPage } from '~/features/storages/ui/StoragesPage';

export function Storages() {
  return <StoragesPage />;
}
