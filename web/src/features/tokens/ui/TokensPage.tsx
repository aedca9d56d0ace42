import { useState } from 'react';
import { Group, Text } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Token } from '~/api/schema';
import { serverNow, useNow } from '~/shared/lib/now';
import { useTitle } from '~/shared/lib/title';
import { ConfirmDialog } from '~/shared/ui/ConfirmDialog';
import { DataTable, type Column, type MenuItem } from '~/shared/ui/DataTable';
import { EmptyState } from '~/shared/ui/EmptyState';
import { Loaded } from '~/shared/ui/Loaded';
import { PageHead } from '~/shared/ui/PageHead';
import { ActButton } from '~/shared/ui/RoleGate';
import { Badge } from '~/shared/ui/StatusBadge';
import { Time } from '~/shared/ui/Time';
import { inOrder, tokenLook } from '../model';
import { tokensQuery, useRevokeToken } from '../queries';
import { CreateTokenDialog } from './CreateTokenDialog';

/** What programs sign in with. */
export function TokensPage() {
  const { project } = useParams({ from: '/shell/p/$project/tokens' });
  useTitle('Tokens', project);
  useNow(60_000);
  const query = useQuery(tokensQuery(project));
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Token>();
  const create = (
    <ActButton needs="owner" leftSection={<IconPlus size={16} stroke={1.75} />} onClick={() => setCreating(true)}>
      Create token
    </ActButton>
  );
  const menu = (t: Token): MenuItem[] => [{ label: 'Revoke…', danger: true, blocked: t.revoked_at ? 'It is revoked already.' : undefined, onClick: () => setRevoking(t) }];
  return (
    <>
      <PageHead title="Tokens">{create}</PageHead>
      <Loaded query={query} things="the tokens">
        {({ items }) =>
          items.length === 0 ? (
            <EmptyState action={create}>No tokens in {project}. A token lets a program do what a role may.</EmptyState>
          ) : (
            <DataTable
              caption="Tokens"
              table="tokens"
              rows={inOrder(items, serverNow())}
              columns={columns()}
              id={(t) => t.id}
              name={(t) => t.name}
              menu={menu}
              card={(t) => (
                <>
                  <Group justify="space-between" wrap="nowrap" gap="sm">
                    <Text fw={500}>{t.name}</Text>
                    <Badge look={tokenLook(t, serverNow())} />
                  </Group>
                  <Text size="sm" c="dimmed">
                    {t.role} · last used <Time at={t.last_used_at} as="age" none="Never used" />
                  </Text>
                </>
              )}
            />
          )
        }
      </Loaded>
      {creating ? <CreateTokenDialog project={project} onClose={() => setCreating(false)} /> : null}
      {revoking ? <RevokeDialog project={project} token={revoking} onClose={() => setRevoking(undefined)} /> : null}
    </>
  );
}

function columns(): Column<Token>[] {
  return [
    { id: 'name', head: 'Name', cell: (t) => t.name },
    { id: 'state', head: 'State', cell: (t) => <Badge look={tokenLook(t, serverNow())} /> },
    { id: 'role', head: 'Role', cell: (t) => (t.administrator ? 'administrator' : t.role) },
    { id: 'project', head: 'Project', cell: (t) => t.project ?? 'all' },
    { id: 'created', head: 'Created', cell: (t) => <Time at={t.created_at} /> },
    { id: 'used', head: 'Last used', cell: (t) => <Time at={t.last_used_at} as="age" none="Never used" /> },
    { id: 'expires', head: 'Expires', cell: (t) => (t.revoked_at ? <Time at={t.revoked_at} /> : t.expires_at ? <Time at={t.expires_at} /> : 'Never') },
  ];
}

function RevokeDialog({ project, token, onClose }: { project: string; token: Token; onClose: () => void }) {
  const act = useRevokeToken(project);
  return (
    <ConfirmDialog opened onClose={onClose} title={`Revoke ${token.name}`} action="Revoke token" danger busy={act.isPending} error={act.error} onConfirm={() => act.mutate(token.id, { onSuccess: onClose })}>
      <p style={{ margin: 0 }}>
        What uses it is refused from now on.{' '}
        {token.last_used_at ? (
          <>
            It was last used <Time at={token.last_used_at} as="age" />.
          </>
        ) : (
          'It was never used.'
        )}{' '}
        {token.administrator ? 'It is the administrator’s: be sure that you can sign in without it.' : ''}
      </p>
    </ConfirmDialog>
  );
}
