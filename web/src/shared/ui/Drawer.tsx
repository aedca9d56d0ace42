import type { ReactNode } from 'react';
import { Drawer as Base } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';

interface Props {
  opened: boolean;
  onClose: () => void;
  title: ReactNode;
  children: ReactNode;
  wide?: boolean;
}

/** The detail of a row, from the right; a sheet of its own on a phone. Its address is the caller's. */
export function Drawer({ opened, onClose, title, children, wide }: Props) {
  const small = useMediaQuery('(max-width: 767px)') ?? false;
  return (
    <Base
      opened={opened}
      onClose={onClose}
      title={title}
      position="right"
      size={small ? '100%' : wide ? 720 : 520}
      transitionProps={{ duration: 180 }}
      closeButtonProps={{ 'aria-label': 'Close' }}
      overlayProps={{ backgroundOpacity: 0.3 }}
    >
      {children}
    </Base>
  );
}
