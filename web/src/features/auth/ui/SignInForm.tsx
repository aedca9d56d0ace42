import { useState } from 'react';
import { Button, PasswordInput, Stack, TextInput } from '@mantine/core';
import { isProblem } from '~/api/problem';
import { useNow } from '~/shared/lib/now';
import { ActError } from '~/shared/ui/ErrorCard';
import { useSignIn } from '../queries';

/** Which of both was wrong is never said. */
export function words(error: unknown, wait: number): unknown {
  if (isProblem(error, 401)) return new Error('User name or password is wrong.');
  if (isProblem(error, 429) && wait > 0) return new Error(`Too many tries. Try again in ${wait} s.`);
  if (isProblem(error, 429)) return undefined;
  return error;
}

/** Seconds until another try counts. */
export function useWait(error: unknown): number {
  const waits = isProblem(error, 429);
  const now = useNow(waits ? 1000 : 3_600_000);
  return waits ? Math.max(0, Math.ceil((error.at + (error.retryAfter ?? 60) * 1000 - now) / 1000)) : 0;
}

export function SignInForm({ onDone }: { onDone: () => void }) {
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const signIn = useSignIn();
  const wait = useWait(signIn.error);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!signIn.isPending && wait === 0) signIn.mutate({ user, password }, { onSuccess: onDone, onError: () => setPassword('') });
      }}
    >
      <Stack gap="md">
        <TextInput label="E-mail or user name" name="username" autoComplete="username" value={user} onChange={(e) => setUser(e.currentTarget.value)} required withAsterisk={false} autoFocus />
        <PasswordInput
          label="Password"
          name="password"
          autoComplete="current-password"
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          required
          withAsterisk={false}
          visibilityToggleButtonProps={{ 'aria-label': 'Show password', tabIndex: 0 }}
        />
        <ActError error={words(signIn.error, wait)} />
        <Button type="submit" loading={signIn.isPending} fullWidth>
          Sign in
        </Button>
      </Stack>
    </form>
  );
}
