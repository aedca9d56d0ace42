import { ClusterList } from '~/features/clusters/ui/ClusterList';

export function Clusters() {
  return <ClusterList />;
}
