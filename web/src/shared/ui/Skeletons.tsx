import { useEffect, useState, type ReactNode } from 'react';
import { Skeleton, Stack, Text } from '@mantine/core';

/** Nothing flashes for what is quick; what is slow says so. */
export function Waiting({ children }: { children?: ReactNode }) {
  const [phase, setPhase] = useState<'quick' | 'shown' | 'slow'>('quick');
  useEffect(() => {
    const shown = setTimeout(() => setPhase('shown'), 200);
    const slow = setTimeout(() => setPhase('slow'), 5000);
    return () => {
      clearTimeout(shown);
      clearTimeout(slow);
    };
  }, []);
  if (phase === 'quick') return null;
  return (
    <div aria-busy="true">
      {children ?? <RowsSkeleton />}
      {phase === 'slow' ? (
        <Text c="dimmed" mt="sm" role="status">
          Still loading. The server is slow to answer.
        </Text>
      ) : null}
    </div>
  );
}

export function RowsSkeleton({ rows = 6, height = 40 }: { rows?: number; height?: number }) {
  return (
    <Stack gap={1} aria-label="Loading" role="img">
      {Array.from({ length: rows }, (_, n) => (
        <Skeleton key={n} height={height} radius="sm" />
      ))}
    </Stack>
  );
}

export function CardsSkeleton({ cards = 4 }: { cards?: number }) {
  return (
    <div style={{ display: 'grid', gap: 16, gridTemplateColumns: 'repeat(auto-fit, minmax(min(420px, 100%), 1fr))' }} aria-label="Loading" role="img">
      {Array.from({ length: cards }, (_, n) => (
        <Skeleton key={n} height={160} radius="md" />
      ))}
    </div>
  );
}
