import { useState } from 'react';
import { Button, Card, PasswordInput, Stack, TextInput } from '@mantine/core';
import { isProblem } from '~/api/problem';
import { ActError } from '~/shared/ui/ErrorCard';
import { Sentence } from '~/shared/ui/Sentence';
import { usePatchMe } from '../queries';
import classes from './Profile.module.css';

/** Another e-mail address is another way in: it wants the password. */
export function PersonCard({ me }: { me: { name: string; email?: string | null } }) {
  const [name, setName] = useState(me.name);
  const [email, setEmail] = useState(me.email ?? '');
  const [password, setPassword] = useState('');
  const act = usePatchMe();
  const moved = email.trim() !== (me.email ?? '');
  const changed = name.trim() !== me.name || moved;
  const faultOf = (field: string) => (isProblem(act.error, 422) && act.error.field === field ? act.error.detail : undefined);
  const save = () => act.mutate({ ...(name.trim() === me.name ? {} : { name: name.trim() }), ...(moved ? { email: email.trim(), password } : {}) }, { onSuccess: () => setPassword('') });
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label="You">
      <h2 className={classes.title}>You</h2>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (changed) save();
        }}
      >
        <Stack gap="md">
          <TextInput label="Name" value={name} onChange={(e) => setName(e.currentTarget.value)} error={faultOf('name')} autoComplete="name" />
          <TextInput label="E-mail" type="email" value={email} onChange={(e) => setEmail(e.currentTarget.value)} error={faultOf('email')} autoComplete="email" />
          {moved ? (
            <PasswordInput
              label="Password"
              description="Needed for another e-mail address"
              value={password}
              onChange={(e) => setPassword(e.currentTarget.value)}
              error={faultOf('password')}
              autoComplete="current-password"
              visibilityToggleButtonProps={{ 'aria-label': 'Show password', tabIndex: 0 }}
            />
          ) : null}
          {isProblem(act.error, 422) && act.error.field ? null : <ActError error={act.error} />}
          {act.isSuccess && !changed ? <Sentence tone="good">Saved.</Sentence> : null}
          <Button type="submit" variant="default" loading={act.isPending} disabled={!changed} style={{ alignSelf: 'flex-start' }}>
            Apply
          </Button>
        </Stack>
      </form>
    </Card>
  );
}
