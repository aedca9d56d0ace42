import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { clusterQuery } from '~/features/clusters';
import { useTitle } from '~/shared/lib/title';
import { clean } from '~/search';
import type { AuditSearch } from '../search';
import { AuditList } from './AuditList';

/** What was done to one cluster. */
export function ClusterAudit() {
  const { project, cluster: name } = useParams({ from: '/shell/p/$project/clusters/$cluster/audit' });
  const search = useSearch({ from: '/shell/p/$project/clusters/$cluster/audit' });
  const navigate = useNavigate({ from: '/p/$project/clusters/$cluster/audit' });
  const { data: cluster } = useQuery(clusterQuery(project, name));
  useTitle(name, 'Audit');
  if (!cluster) return null;
  const change = (part: Partial<AuditSearch>, replace = true) => void navigate({ search: (before) => clean({ ...before, ...part }), replace });
  return <AuditList project={project} search={search} change={change} object={cluster.id} />;
}
