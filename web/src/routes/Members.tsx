import { MembersPage } from '~/features/members/ui/MembersPage';

export function Members() {
  return <MembersPage />;
}
