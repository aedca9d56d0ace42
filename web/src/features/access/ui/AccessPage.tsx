import { useState, type FormEvent } from 'react';
import { ActionIcon, Button, Group, Stack, Table, Text, TextInput } from '@mantine/core';
import { IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { AllowEntry } from '~/api/schema';
import { meQuery } from '~/features/auth';
import { clusterQuery } from '~/features/clusters';
import { count } from '~/shared/lib/bytes';
import { useMay } from '~/shared/lib/role';
import { useTitle } from '~/shared/lib/title';
import { ErrorCard } from '~/shared/ui/ErrorCard';
import { ActButton } from '~/shared/ui/RoleGate';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { useLeaveGuard } from '~/shared/ui/useLeaveGuard';
import { allows, changes, entryFault, howMany } from '../model';
import { allowListQuery } from '../queries';
import { ApplyDialog } from './ApplyDialog';
import classes from './AccessPage.module.css';

/** Who may connect? Changes collect here, and are applied together. */
export function AccessPage() {
  const { project, cluster } = useParams({ from: '/shell/p/$project/clusters/$cluster/access' });
  useTitle(cluster, 'Access');
  const query = useQuery(allowListQuery(project, cluster));
  if (query.isPending) return <Waiting />;
  if (!query.data) return <ErrorCard error={query.error} things="the allow-list" retry={() => void query.refetch()} />;
  return <Editor key={query.data.tag} project={project} cluster={cluster} saved={query.data.allow_list} tag={query.data.tag} reload={() => void query.refetch()} />;
}

interface EditorProps {
  project: string;
  cluster: string;
  saved: readonly AllowEntry[];
  tag?: string;
  reload: () => void;
}

function Editor({ project, cluster, saved, tag, reload }: EditorProps) {
  const [list, setList] = useState<readonly AllowEntry[]>(saved);
  const [reviewing, setReviewing] = useState(false);
  const { data: me } = useQuery(meQuery);
  const { data: c } = useQuery(clusterQuery(project, cluster));
  const admin = useMay('admin');
  const changed = changes(saved, list);
  const many = howMany(changed);
  const guard = useLeaveGuard(reviewing ? 0 : many);
  const address = me?.address;
  const remove = (cidr: string) => setList(list.filter((e) => e.cidr !== cidr));
  return (
    <Stack gap="md">
      {list.length === 0 ? (
        <Sentence tone="bad" banner>
          Open to every address. Anyone who can reach {c ? `${c.endpoints.read_write.host}:${c.endpoints.read_write.port}` : 'the endpoint'} may try to log in.
        </Sentence>
      ) : null}
      {address ? (
        <Group gap="sm">
          <Text size="sm">
            Your address now: <code>{address}</code>
          </Text>
          {admin && !list.some((e) => e.cidr === address) ? (
            <Button variant="default" size="compact-sm" onClick={() => setList([...list, { cidr: address, note: 'mine' }])}>
              Add
            </Button>
          ) : null}
          {list.length > 0 && !allows(list, address) ? <Sentence tone="warn">It is not let in by this list.</Sentence> : null}
        </Group>
      ) : null}
      <div className={classes.table}>
        <Table verticalSpacing={8} aria-label="Addresses that may connect">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Address or range</Table.Th>
              <Table.Th>Note</Table.Th>
              <Table.Th w={44}>
                <span className="ms-visually-hidden">Actions</span>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {list.map((e) => (
              <Table.Tr key={e.cidr}>
                <Table.Td>
                  <code>{e.cidr}</code> {changed.added.includes(e) ? <span className={classes.added}>not applied yet</span> : null}
                </Table.Td>
                <Table.Td>{e.note}</Table.Td>
                <Table.Td>
                  {admin ? (
                    <ActionIcon variant="subtle" color="gray" size={28} aria-label={`Remove ${e.cidr}`} onClick={() => remove(e.cidr)}>
                      <IconTrash size={16} stroke={1.75} />
                    </ActionIcon>
                  ) : null}
                </Table.Td>
              </Table.Tr>
            ))}
            {list.length === 0 ? (
              <Table.Tr>
                <Table.Td colSpan={3}>
                  <Text c="dimmed">No address is named: everyone may connect.</Text>
                </Table.Td>
              </Table.Tr>
            ) : null}
          </Table.Tbody>
        </Table>
      </div>
      {admin ? <AddEntry list={list} add={(e) => setList([...list, e])} /> : null}
      <Group gap="sm" justify="flex-end">
        {many > 0 ? (
          <Button variant="default" onClick={() => setList(saved)}>
            Discard
          </Button>
        ) : null}
        <ActButton needs="admin" blocked={many === 0 && 'Nothing was changed.'} onClick={() => setReviewing(true)}>
          {many === 0 ? 'Review and apply' : `Review and apply (${count(many, 'change')})`}
        </ActButton>
      </Group>
      <Text size="sm" c="dimmed">
        A process on the same machine can still reach a node&apos;s own port and must log in.
      </Text>
      {reviewing ? (
        <ApplyDialog
          project={project}
          cluster={cluster}
          list={list}
          changed={changed}
          tag={tag}
          address={address}
          onAdd={() => address && setList([...list, { cidr: address, note: 'mine' }])}
          onClose={() => setReviewing(false)}
          onStale={reload}
        />
      ) : null}
      {guard}
    </Stack>
  );
}

function AddEntry({ list, add }: { list: readonly AllowEntry[]; add: (e: AllowEntry) => void }) {
  const [cidr, setCidr] = useState('');
  const [note, setNote] = useState('');
  const [checked, setChecked] = useState(false);
  const fault = checked ? entryFault(cidr, list) : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (entryFault(cidr, list)) return;
    add({ cidr: cidr.trim(), note: note.trim() });
    setCidr('');
    setNote('');
    setChecked(false);
  };
  return (
    <form onSubmit={submit} noValidate>
      <Group gap="sm" align="flex-start">
        <TextInput label="Address or range" placeholder="203.0.113.0/24" value={cidr} onChange={(e) => setCidr(e.currentTarget.value)} onBlur={() => setChecked(cidr !== '')} error={fault} w={260} autoComplete="off" spellCheck={false} />
        <TextInput label="Note" placeholder="office" value={note} onChange={(e) => setNote(e.currentTarget.value)} maxLength={100} w={200} />
        <Button type="submit" variant="default" mt={20}>
          Add
        </Button>
      </Group>
    </form>
  );
}
