import { RestoresPage } from '~/features/restores/ui/RestoresPage';

export function Restores() {
  return <RestoresPage />;
}
