export { meQuery, useAcceptLink, useLinkLook, useSignIn, useSignOut } from './queries';
export { SignInForm, useWait } from './ui/SignInForm';
