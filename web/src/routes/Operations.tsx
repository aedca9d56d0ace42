import { OperationsPage } from '~/features/operations/ui/OperationsPage';

export function Operations() {
  return <OperationsPage />;
}
