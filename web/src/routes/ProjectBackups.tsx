import { AllBackups } from '~/features/backups/ui/AllBackups';

export function ProjectBackups() {
  return <AllBackups />;
}
