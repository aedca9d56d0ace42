import type { ReactNode } from 'react';
import { Card } from '@mantine/core';
import classes from './Overview.module.css';

/** A card of the overview; `order` is its place where there is one column. */
export function Section({ title, order, children }: { title: string; order: number; children: ReactNode }) {
  return (
    <Card withBorder padding="md" radius="md" component="section" aria-label={title} style={{ '--order': order }}>
      <h2 className={classes.title}>{title}</h2>
      {children}
    </Card>
  );
}
