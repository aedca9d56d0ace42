import { SettingsPage } from '~/features/settings/ui/SettingsPage';

export function Settings() {
  return <SettingsPage />;
}
