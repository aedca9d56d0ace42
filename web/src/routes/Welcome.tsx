import { useEffect, useState } from 'react';
import { Anchor, Button, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { Link, useNavigate } from '@tanstack/react-router';
import type { LinkShown } from '~/api/schema';
import { isProblem } from '~/api/problem';
import { useAcceptLink, useLinkLook, useWait } from '~/features/auth';
import { useTitle } from '~/shared/lib/title';
import { ActError } from '~/shared/ui/ErrorCard';
import { Sentence } from '~/shared/ui/Sentence';
import { Waiting } from '~/shared/ui/Skeletons';
import { Door } from './Door';

/** The token is in the fragment, which no server sees, and leaves the address at once. */
function takeToken(): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? undefined;
  if (token) history.replaceState(history.state, '', location.pathname);
  return token;
}

let taken: string | undefined;

export function Welcome() {
  useTitle('Welcome');
  const [token] = useState(() => {
    taken = takeToken() ?? taken;
    return taken;
  });
  const look = useLinkLook();
  const { mutate } = look;
  useEffect(() => {
    if (token) mutate(token);
  }, [token, mutate]);
  if (!token || isProblem(look.error, 404) || isProblem(look.error, 401)) return <Spent />;
  return (
    <Door title={look.data?.project ? `Welcome to ${look.data.project}` : 'Welcome to Mainstay'}>
      {look.data ? <Accept token={token} link={look.data} /> : look.error ? <ActError error={look.error} /> : <Waiting />}
    </Door>
  );
}

function Spent() {
  return (
    <Door title="This link does not work">
      <Stack gap="md">
        <Sentence tone="warn">
          This link was used or has expired. Run <code>mainstay up</code> on the machine: it prints a new one.
        </Sentence>
        <Anchor renderRoot={(props) => <Link to="/sign-in" {...props} />}>Sign in</Anchor>
      </Stack>
    </Door>
  );
}

function introduction(link: LinkShown): string {
  if (link.kind === 'invitation') return `${link.project} invited you as ${link.role ?? 'viewer'}.`;
  if (link.kind === 'password') return `Choose a new password for ${link.email}.`;
  return `You are setting up the administrator of ${link.host}. This link works once.`;
}

function Accept({ token, link }: { token: string; link: LinkShown }) {
  const accept = useAcceptLink();
  const wait = useWait(accept.error);
  const navigate = useNavigate();
  const first = link.kind === 'first';
  const named = !link.known && link.kind !== 'password';
  const form = useForm({
    initialValues: { name: '', email: '', password: '' },
    validateInputOnBlur: true,
    validate: {
      name: (v) => (named && v.trim() === '' ? 'Say how you want to be called.' : null),
      email: (v) => (first && !/^\S+@\S+$/.test(v) ? 'Use an e-mail address, like ann@example.org.' : null),
      password: (v) => (!link.known && v.length < 12 ? 'Use 12 characters or more.' : null),
    },
  });
  const send = form.onSubmit((v) => {
    accept.mutate(
      { token, password: v.password, ...(named ? { name: v.name.trim() } : {}), ...(first ? { email: v.email.trim() } : {}) },
      {
        onSuccess: () => void navigate({ to: '/' }),
        onError: (e) => isProblem(e, 422) && e.field && e.field in v && form.setFieldError(e.field, e.detail),
      },
    );
  });
  const button = first ? 'Create administrator' : link.kind === 'invitation' ? 'Join' : 'Set password';
  const shown = isProblem(accept.error, 429) ? new Error(`Too many tries. Try again in ${wait} s.`) : isProblem(accept.error, 422) && accept.error.field ? undefined : accept.error;
  return (
    <form onSubmit={send} noValidate>
      <Stack gap="md">
        <Text>{introduction(link)}</Text>
        {named ? <TextInput label="Name" autoComplete="name" {...form.getInputProps('name')} /> : null}
        {first ? <TextInput label="E-mail" type="email" autoComplete="username" {...form.getInputProps('email')} /> : null}
        {link.known && !first ? <Text c="dimmed">You are known here as {link.email}: give the password you have.</Text> : null}
        <PasswordInput
          label="Password"
          description={link.known ? undefined : '12 characters or more'}
          autoComplete={link.known ? 'current-password' : 'new-password'}
          visibilityToggleButtonProps={{ 'aria-label': 'Show password', tabIndex: 0 }}
          {...form.getInputProps('password')}
        />
        <ActError error={shown} />
        <Button type="submit" loading={accept.isPending} fullWidth>
          {button}
        </Button>
      </Stack>
    </form>
  );
}
