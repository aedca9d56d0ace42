import type { ReactNode } from 'react';
import type { UseQueryResult } from '@tanstack/react-query';
import { isProblem } from '~/api/problem';
import { asSentence } from '~/shared/lib/localTimes';
import { useStanding } from '~/shared/lib/role';
import { ErrorCard } from './ErrorCard';
import { Sentence } from './Sentence';
import { Waiting } from './Skeletons';

interface Props<T> {
  query: UseQueryResult<T>;
  /** What could not be loaded: "the backups". */
  things: string;
  skeleton?: ReactNode;
  children: (data: T) => ReactNode;
}

/** The states that every list has before it has anything to show. What was loaded once stays while a newer try fails. */
export function Loaded<T>({ query, things, skeleton, children }: Props<T>) {
  const { role, project } = useStanding();
  if (query.data !== undefined) return children(query.data);
  if (query.isPending) return <Waiting>{skeleton}</Waiting>;
  if (isProblem(query.error, 403)) {
    return (
      <Sentence tone="warn" banner>
        You cannot see {things} of {project} as {role}. {asSentence(query.error.detail)}
      </Sentence>
    );
  }
  return <ErrorCard error={query.error} things={things} retry={() => void query.refetch()} />;
}
