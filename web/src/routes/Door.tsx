import type { ReactNode } from 'react';
import { Card } from '@mantine/core';
import classes from './Door.module.css';

/** What is seen before anybody is known. */
export function Door({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className={classes.door}>
      <div className={classes.brand}>
        <img src="/favicon.svg" alt="" width={32} height={32} />
        <span>Mainstay</span>
      </div>
      <Card withBorder className={classes.card} padding="lg" radius="md">
        <h1 className={classes.title}>{title}</h1>
        {children}
      </Card>
    </main>
  );
}
