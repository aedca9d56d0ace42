import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useTitle } from '~/shared/lib/title';
import { useMay } from '~/shared/lib/role';
import { clusterQuery } from '../queries';
import { UsageCard } from '~/features/metrics';
import { CareCard } from './CareCard';
import { ConnectCard } from './ConnectCard';
import { NodesCard } from './NodesCard';
import { ProtectionCard } from './ProtectionCard';
import { RecoverabilityCard } from './RecoverabilityCard';
import classes from './Overview.module.css';

/** Is it well, and can I get it back? */
export function Overview() {
  const { project, cluster: name } = useParams({ from: '/shell/p/$project/clusters/$cluster' });
  const { data: cluster } = useQuery(clusterQuery(project, name));
  useTitle(name, 'Overview');
  const admin = useMay('admin');
  if (!cluster) return null;
  const common = { project, cluster };
  return (
    <div className={classes.grid}>
      <div className={classes.column}>
        <RecoverabilityCard {...common} />
        <NodesCard {...common} />
        {cluster.status === 'deleted' ? null : <UsageCard project={project} cluster={name} />}
        {admin && cluster.status !== 'deleted' ? <CareCard {...common} /> : null}
      </div>
      <div className={classes.column}>
        {cluster.status === 'deleted' ? null : <ConnectCard {...common} />}
        <ProtectionCard {...common} />
      </div>
    </div>
  );
}

