import { NodesPage } from '~/features/nodes/ui/NodesPage';

export function Nodes() {
  return <NodesPage />;
}
