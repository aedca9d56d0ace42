import { CreateWizard } from '~/features/clusters/ui/CreateWizard';

export function CreateCluster() {
  return <CreateWizard />;
}
