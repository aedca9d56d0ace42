import { ClusterAudit } from '~/features/audit/ui/ClusterAudit';

export function AuditOfCluster() {
  return <ClusterAudit />;
}
