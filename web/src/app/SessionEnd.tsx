import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { setConnection } from '~/api/connection';
import { meQuery } from '~/features/auth';
import { serverNow, useNow } from '~/shared/lib/now';
import { duration, parse } from '~/shared/lib/time';
import { Sentence } from '~/shared/ui/Sentence';

const WARN_MS = 120_000;

/** A session ends some days after it began, however much it is used: two minutes before, the page says so. */
export function SessionEnd() {
  const { data: me } = useQuery(meQuery);
  const end = parse(me?.session?.expires_at);
  const near = end !== undefined && end - serverNow() < WARN_MS;
  useNow(near ? 1000 : 10_000);
  if (end === undefined || !near) return null;
  const left = Math.max(0, Math.floor((end - serverNow()) / 1000));
  return (
    <div role="status" style={{ padding: '8px 24px 0' }}>
      <Sentence
        tone="warn"
        banner
        action={
          <Button variant="default" size="compact-sm" onClick={() => setConnection({ signedOut: true })}>
            Stay signed in
          </Button>
        }
      >
        Your session ends in {duration(left)}.
      </Sentence>
    </div>
  );
}
