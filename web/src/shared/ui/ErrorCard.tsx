import { Anchor, Button, Card, Group, Stack, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { isProblem, Unreachable } from '~/api/problem';
import { CopyButton } from './CopyField';
import { Sentence } from './Sentence';

interface Props {
  error: unknown;
  /** What could not be loaded: "the clusters". */
  things: string;
  project?: string;
  retry?: () => void;
}

/** A part of a page that could not be had says so in its own place, with what to do. */
export function ErrorCard({ error, things, project, retry }: Props) {
  const problem = isProblem(error) ? error : undefined;
  const detail = error instanceof Error ? error.message : 'Something failed inside this page.';
  return (
    <Card withBorder role="alert">
      <Stack gap="sm">
        <Sentence tone={error instanceof Unreachable ? 'unknown' : 'bad'}>
          Could not load {things}. {detail}
        </Sentence>
        <Group gap="sm">
          {retry ? (
            <Button variant="default" onClick={retry}>
              Try again
            </Button>
          ) : null}
          {problem?.status === 404 && project ? (
            <Anchor renderRoot={(props) => <Link to="/p/$project/clusters" params={{ project }} {...props} />}>All clusters</Anchor>
          ) : null}
          {problem?.requestId ? (
            <Text size="xs" c="dimmed">
              Request <code>{problem.requestId}</code> <CopyButton value={problem.requestId} what="request id" />
            </Text>
          ) : null}
        </Group>
      </Stack>
    </Card>
  );
}

/** Below the buttons of a dialog or form: why the server said no. */
export function ActError({ error }: { error: unknown }) {
  if (!error) return null;
  const problem = isProblem(error) ? error : undefined;
  const text = error instanceof Error ? error.message : 'Something failed inside this page. Nothing was sent.';
  const stale = problem?.status === 412 ? 'Something changed since you opened this. Here is how it is now; look and apply again. ' : '';
  return (
    <div role="alert">
      <Sentence tone="bad" banner>
        {stale}
        {text}
        {problem?.requestId ? (
          <details>
            <summary>Details</summary>
            <code>
              {problem.code} · {problem.requestId}
            </code>
          </details>
        ) : null}
      </Sentence>
    </div>
  );
}
