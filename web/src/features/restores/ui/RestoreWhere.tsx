import { Radio, Select, Stack, TextInput } from '@mantine/core';
import type { Cluster } from '~/api/schema';
import { useMay } from '~/shared/lib/role';
import type { Where } from '../model';

interface Props {
  cluster: Cluster;
  clusters: readonly Cluster[];
  where: Where;
  setWhere: (where: Where) => void;
  name: string;
  setName: (name: string) => void;
  other: string;
  setOther: (name: string) => void;
  fault?: string;
}

/** A new cluster comes first: nothing is lost by it. */
export function RestoreWhere({ cluster, clusters, where, setWhere, name, setName, other, setOther, fault }: Props) {
  const admin = useMay('admin');
  const others = clusters.filter((c) => c.name !== cluster.name && c.engine === cluster.engine).map((c) => c.name);
  return (
    <Radio.Group value={where} onChange={(next) => setWhere(next as Where)} aria-label="Where to restore">
      <Stack gap="sm">
        <Radio value="new" label="A new cluster" description="Nothing is lost. It is made beside the others." />
        {where === 'new' ? (
          <TextInput label="Name of the new cluster" value={name} onChange={(e) => setName(e.currentTarget.value)} error={fault} maw={360} ml={28} autoComplete="off" spellCheck={false} />
        ) : null}
        {admin ? <Radio value="this" label={`This cluster, ${cluster.name}`} description="Its data is replaced. A safety backup is made first, and the old data stays aside for a while." /> : null}
        {admin && others.length > 0 ? <Radio value="other" label="Another cluster" description="It is cleared, and takes this data." /> : null}
        {admin && where === 'other' ? (
          <Select label="Cluster that is cleared" placeholder="Choose one" data={others} value={other || null} onChange={(next) => setOther(next ?? '')} allowDeselect={false} maw={360} ml={28} />
        ) : null}
      </Stack>
    </Radio.Group>
  );
}
