import { Link } from '@tanstack/react-router';
import { nouns, type Noun } from './nav';
import classes from './NavBar.module.css';

export function NavBar({ project }: { project: string }) {
  return (
    <ul className={classes.list}>
      {nouns.map((noun) => (
        <li key={noun.path}>
          <Entry noun={noun} project={project} />
        </li>
      ))}
    </ul>
  );
}

function Entry({ noun, project }: { noun: Noun; project: string }) {
  const { icon: Icon, Mark } = noun;
  return (
    <Link to={`/p/$project/${noun.path}` as '/p/$project/clusters'} params={{ project }} className={classes.link} activeProps={{ 'aria-current': 'page' }}>
      <Icon size={20} stroke={1.75} aria-hidden />
      <span className={classes.label}>{noun.label}</span>
      {Mark ? <Mark project={project} /> : null}
    </Link>
  );
}
