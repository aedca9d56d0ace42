import type { ReactNode } from 'react';
import { Button, Tooltip, type ButtonProps } from '@mantine/core';
import { useConnection } from '~/api/connection';
import type { Role } from '~/api/schema';
import { useMay, useStanding } from '~/shared/lib/role';

/** Only for those who may: what a role never allows is left out. */
export function RoleGate({ needs, children, otherwise = null }: { needs: Role; children: ReactNode; otherwise?: ReactNode }) {
  return useMay(needs) ? children : otherwise;
}

/** Why the reader cannot act now, or nothing. `state` is what the thing itself forbids. */
export function useBlocked(needs: Role, state?: string | false): string | undefined {
  const may = useMay(needs);
  const { role } = useStanding();
  const { link } = useConnection();
  if (link === 'offline') return 'Not connected';
  if (!may) return `Needs the role ${needs}; yours is ${role}.`;
  return state || undefined;
}

interface Props extends ButtonProps {
  needs: Role;
  /** Why the state forbids it, with numbers. */
  blocked?: string | false;
  onClick: () => void;
  children: ReactNode;
  type?: 'button' | 'submit';
  'aria-label'?: string;
}

/** A button that stays where it is when it cannot be used, can be reached, and says why. */
export function ActButton({ needs, blocked, onClick, children, ...props }: Props) {
  const why = useBlocked(needs, blocked);
  const button = (
    <Button {...props} data-disabled={why ? true : undefined} aria-disabled={why ? true : undefined} onClick={why ? undefined : onClick}>
      {children}
      {why ? <span className="ms-visually-hidden"> ({why})</span> : null}
    </Button>
  );
  return why ? <Tooltip label={why}>{button}</Tooltip> : button;
}
