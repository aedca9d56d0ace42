import { ProfilePage } from '~/features/profile/ui/ProfilePage';

export function Profile() {
  return <ProfilePage />;
}
