import { useNavigate, useRouter, useSearch } from '@tanstack/react-router';
import { useEffect, useEffectEvent } from 'react';
import { hearSession } from '~/api/session';
import { SignInForm } from '~/features/auth';
import { useTitle } from '~/shared/lib/title';
import { Door } from './Door';

/** After it: the page that was asked for. */
export function SignIn() {
  useTitle('Sign in');
  const { next } = useSearch({ from: '/sign-in' });
  const navigate = useNavigate();
  const router = useRouter();
  const done = () => {
    if (next) router.history.push(next);
    else void navigate({ to: '/' });
  };
  // Signed in in another tab is signed in here.
  const elsewhere = useEffectEvent(done);
  useEffect(() => hearSession((what) => what === 'in' && elsewhere()), []);
  return (
    <Door title="Sign in">
      <SignInForm onDone={done} />
    </Door>
  );
}
