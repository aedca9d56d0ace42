import { Button, Stack, Text } from '@mantine/core';
import { Link, useRouter } from '@tanstack/react-router';
import { isProblem, Unreachable } from '~/api/problem';
import { useTitle } from '~/shared/lib/title';
import { Sentence } from '~/shared/ui/Sentence';

/** No page has this address. */
export function Missing() {
  useTitle('Not found');
  return (
    <Stack p="lg" align="flex-start" component="main">
      <h1>Nothing is at this address</h1>
      <Text>The link may be old, or a letter of it is missing.</Text>
      <Button variant="default" renderRoot={(props) => <Link to="/" {...props} />}>
        All clusters
      </Button>
    </Stack>
  );
}

/** The page itself failed; the rest of Mainstay did not. */
export function PageError({ error }: { error: unknown }) {
  useTitle('Trouble');
  const router = useRouter();
  const problem = isProblem(error) ? error : undefined;
  return (
    <Stack p="lg" align="flex-start" component="main">
      <h1>This page could not be drawn</h1>
      <Sentence tone={error instanceof Unreachable ? 'unknown' : 'bad'}>
        {error instanceof Error ? error.message : 'Something failed inside this page.'} {problem?.requestId ? `Request ${problem.requestId}` : ''}
      </Sentence>
      <Button variant="default" onClick={() => void router.invalidate()}>
        Try again
      </Button>
    </Stack>
  );
}
