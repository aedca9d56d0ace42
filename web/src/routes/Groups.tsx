import { GroupsPage } from '~/features/groups/ui/GroupsPage';

export function Groups() {
  return <GroupsPage />;
}
