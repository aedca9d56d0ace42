import { AlertsPage } from '~/features/alerts/ui/AlertsPage';

export function Alerts() {
  return <AlertsPage />;
}
