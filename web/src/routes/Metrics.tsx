import { MetricsPage } from '~/features/metrics/ui/MetricsPage';

export function Metrics() {
  return <MetricsPage />;
}
