import { useEffect, useRef, type ReactNode } from 'react';
import classes from './PageHead.module.css';

interface Props {
  title: ReactNode;
  /** For the document's title, where the head is more than words. */
  name?: string;
  count?: number;
  children?: ReactNode;
}

/** Whether a page was shown before this one since the browser loaded us. */
let opened = false;

/** The page's one `h1`, which takes the focus when the page is come to, and its main actions. */
export function PageHead({ title, name, count, children }: Props) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // A page that was opened anew begins at its top; who tabs through it already keeps the place.
    if (!opened) {
      opened = true;
      return;
    }
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
