import { useEffect, useRef, type ReactNode } from 'react';
import classes from './PageHead.module.css';

interface Props {
  title: ReactNode;
  /** For the document's title, where the head is more than words. */
  name?: string;
  count?: number;
  children?: ReactNode;
}

/** The page's one `h1`, which takes the focus when the page is come to, and its main actions. */
export function PageHead({ title, name, count, children }: Props) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // Who tabs through the page already keeps the place.
    if (document.activeElement === document.body || document.activeElement === null) head.current?.focus({ preventScroll: true });
  }, [name]);
  return (
    <div className={classes.head}>
      <h1 ref={head} tabIndex={-1} className={classes.title}>
        {title}
        {count === undefined ? null : <span className={classes.count}>{count}</span>}
      </h1>
      {children ? <div className={classes.actions}>{children}</div> : null}
    </div>
  );
}
