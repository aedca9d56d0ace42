import { IconChevronLeft } from '@tabler/icons-react';
import { useMediaQuery } from '@mantine/hooks';
import { Link, useLocation } from '@tanstack/react-router';
import { nouns } from './nav';
import classes from './Breadcrumbs.module.css';

interface Crumb {
  text: string;
  to: string;
}

/** project / noun / object / tab, from the address. */
function crumbs(pathname: string, project: string): Crumb[] {
  const [first, , noun, object, tab] = pathname.split('/').filter(Boolean).map(decodeURIComponent);
  if (first !== 'p') return first ? [{ text: first === 'me' ? 'Profile' : first, to: pathname }] : [];
  const base = `/p/${encodeURIComponent(project)}`;
  const out: Crumb[] = [{ text: project, to: `${base}/clusters` }];
  if (!noun) return out;
  out.push({ text: nouns.find((n) => n.path === noun)?.label ?? noun, to: `${base}/${noun}` });
  if (object) out.push({ text: noun === 'clusters' && object === 'new' ? 'Create cluster' : object, to: `${base}/${noun}/${encodeURIComponent(object)}` });
  if (tab) out.push({ text: tab.charAt(0).toUpperCase() + tab.slice(1), to: pathname });
  return out;
}

export function Breadcrumbs({ project }: { project: string }) {
  const { pathname } = useLocation();
  const small = useMediaQuery('(max-width: 767px)') ?? false;
  const all = crumbs(pathname, project);
  const above = all.at(all.length > 3 ? -3 : -2);
  if (small && above) {
    return (
      <nav aria-label="Breadcrumbs">
        <Link to={above.to} className={classes.back}>
          <IconChevronLeft size={16} stroke={1.75} aria-hidden />
          {above.text}
        </Link>
      </nav>
    );
  }
  return (
    <nav aria-label="Breadcrumbs">
      <ol className={classes.list}>
        {all.map((crumb, n) => (
          <li key={crumb.to + crumb.text} className={classes.item}>
            {n === all.length - 1 ? (
              <span aria-current="page">{crumb.text}</span>
            ) : (
              <Link to={crumb.to} className={classes.link}>
                {crumb.text}
              </Link>
            )}
          </li>
        ))}
      </ol>
    </nav>
  );
}
