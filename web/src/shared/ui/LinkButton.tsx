import type { ReactNode } from 'react';
import { Button, type ButtonProps } from '@mantine/core';
import { Link } from '@tanstack/react-router';

/** Looks like a button, is a link: it only goes somewhere. */
export function LinkButton({ to, children, ...props }: ButtonProps & { to: string; children: ReactNode }) {
  return (
    <Button variant="default" {...props} renderRoot={(root) => <Link to={to} {...root} />}>
      {children}
    </Button>
  );
}
