import { lookOf, type Look, type Noun } from '~/shared/lib/statuses';
import { useConnection } from '~/api/connection';
import { Time } from './Time';
import classes from './StatusBadge.module.css';

interface Props {
  noun: Noun;
  status: string;
  /** When it was last heard of; older than 30 s it is said. */
  observedAt?: string | null;
  /** A moment too old to be trusted as now. */
  stale?: boolean;
}

/** Icon and word on a soft fill, with an outline of its own: no pair rests on colour alone. */
export function StatusBadge({ noun, status, observedAt, stale }: Props) {
  const { link } = useConnection();
  const old = stale || (link === 'offline' && observedAt);
  return (
    <span className={classes.with}>
      <Badge look={lookOf(noun, status)} />
      {old && observedAt ? (
        <span className={classes.asOf}>
          as of <Time at={observedAt} as="wall" />
        </span>
      ) : null}
    </span>
  );
}

export function Badge({ look }: { look: Look }) {
  const Icon = look.icon;
  return (
    <span role="status" aria-live="off" aria-label={look.word} className={classes.badge} data-tone={look.tone}>
      <Icon size={16} stroke={1.75} aria-hidden className={classes.icon} />
      <span>{look.word}</span>
    </span>
  );
}

/** The icon alone where the row says the rest; its word is its name. */
export function StatusIcon({ noun, status, name }: { noun: Noun; status: string; name?: string }) {
  const look = lookOf(noun, status);
  const Icon = look.icon;
  return (
    <span role="img" aria-label={name ?? look.word} title={name ?? look.word} className={classes.alone} data-tone={look.tone}>
      <Icon size={16} stroke={1.75} aria-hidden className={classes.icon} />
    </span>
  );
}
