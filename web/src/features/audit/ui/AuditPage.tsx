import { Button, Menu, Stack } from '@mantine/core';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { count } from '~/shared/lib/bytes';
import { useStanding } from '~/shared/lib/role';
import { useTitle } from '~/shared/lib/title';
import { PageHead } from '~/shared/ui/PageHead';
import { Sentence } from '~/shared/ui/Sentence';
import { clean } from '~/search';
import { span } from '../model';
import { exportAddress, useVerifyAudit } from '../queries';
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
  const { actor, action, object, result } = search;
  const filters = clean({ actor, action, object, result, ...span(search) });
  const change = (part: Partial<AuditSearch>, replace = true) => void navigate({ search: (before) => clean({ ...before, ...part }), replace });
  return (
    <>
      <PageHead title="Audit">
        <Menu>
          <Menu.Target>
            <Button variant="default">Export</Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item component="a" href={exportAddress(project, filters, 'csv')} download>
              CSV
            </Menu.Item>
            <Menu.Item component="a" href={exportAddress(project, filters, 'json')} download>
              JSON
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
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
