import { Button, Stack } from '@mantine/core';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { count } from '~/shared/lib/bytes';
import { useStanding } from '~/shared/lib/role';
import { useTitle } from '~/shared/lib/title';
import { PageHead } from '~/shared/ui/PageHead';
import { Sentence } from '~/shared/ui/Sentence';
import { clean } from '~/search';
import { useVerifyAudit } from '../queries';
import type { AuditSearch } from '../search';
import { AuditList } from './AuditList';

/** What was done in the whole project. */
export function AuditPage() {
  const { project } = useParams({ from: '/shell/p/$project/audit' });
  const search = useSearch({ from: '/shell/p/$project/audit' });
  const navigate = useNavigate({ from: '/p/$project/audit' });
  const { administrator } = useStanding();
  const verify = useVerifyAudit(project);
  useTitle('Audit', project);
  const change = (part: Partial<AuditSearch>, replace = true) => void navigate({ search: (before) => clean({ ...before, ...part }), replace });
  return (
    <>
      <PageHead title="Audit">
        {administrator ? (
          <Button variant="default" loading={verify.isPending} onClick={() => verify.mutate()}>
            Check the chain
          </Button>
        ) : null}
      </PageHead>
      <Stack gap="sm">
        {verify.data ? <Sentence tone="good">{count(verify.data.rows, 'entry', 'entries')} looked at: none was changed or taken out.</Sentence> : null}
        {verify.error ? (
          <Sentence tone="bad" banner>
            {verify.error.message}
          </Sentence>
        ) : null}
        <AuditList project={project} search={search} change={change} />
      </Stack>
    </>
  );
}
