import { ClusterPage } from '~/features/clusters/ui/ClusterPage';

export function ClusterFrame() {
  return <ClusterPage />;
}
