import { Tooltip } from '@mantine/core';
import { bytes, exactBytes } from '~/shared/lib/bytes';
import { Unknown } from './Time';

export function Bytes({ value, none = 'Not known' }: { value: number | null | undefined; none?: string }) {
  if (value === null || value === undefined) return <Unknown why={none} />;
  return (
    <Tooltip label={exactBytes(value)}>
      <span style={{ whiteSpace: 'nowrap' }}>{bytes(value)}</span>
    </Tooltip>
  );
}
