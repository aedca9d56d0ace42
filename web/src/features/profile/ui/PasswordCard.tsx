import { useState } from 'react';
import { Button, Card, PasswordInput, Stack } from '@mantine/core';
import { isProblem } from '~/api/problem';
import { count } from '~/shared/lib/bytes';
import { ActError } from '~/shared/ui/ErrorCard';
import { Sentence } from '~/shared/ui/Sentence';
import { useChangePassword } from '../queries';
import classes from './Profile.module.css';

const show = { 'aria-label': 'Show password', tabIndex: 0 };

export function PasswordCard() {
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const [tried, setTried] = useState(false);
  const act = useChangePassword();
  const short = next.length < 12 ? 'Use 12 characters or more.' : undefined;
  const problem = isProblem(act.error) ? act.error : undefined;
  const send = () => {
    setTried(true);
    if (short || current === '') return;
    act.mutate(
      { current, new: next },
      {
        onSuccess: () => {
          setCurrent('');
          setNext('');
          setTried(false);
        },
      },
    );
  };
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="Password">
      <h2 className={classes.title}>Password</h2>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          send();
        }}
      >
        <Stack gap="md">
          <PasswordInput label="Current password" value={current} onChange={(e) => setCurrent(e.currentTarget.value)} error={problem?.field === 'current' ? problem.detail : undefined} autoComplete="current-password" visibilityToggleButtonProps={show} />
          <PasswordInput label="New password" description="12 characters or more" value={next} onChange={(e) => setNext(e.currentTarget.value)} error={(tried ? short : undefined) ?? (problem?.field === 'new' ? problem.detail : undefined)} autoComplete="new-password" visibilityToggleButtonProps={show} />
          {problem?.field ? null : <ActError error={act.error} />}
          {act.data ? <Sentence tone="good">The password is another one now; {count(act.data.ended, 'other session')} ended.</Sentence> : null}
          <Button type="submit" variant="default" loading={act.isPending} style={{ alignSelf: 'flex-start' }}>
            Change password
          </Button>
        </Stack>
      </form>
    </Card>
  );
}
