import { AuditPage } from '~/features/audit/ui/AuditPage';

export function Audit() {
  return <AuditPage />;
}
