import { memo, useEffect, useRef, useState } from 'react';
import { Anchor, Button, Tooltip, UnstyledButton } from '@mantine/core';
import { IconCheck, IconCircleHalf2, IconLoader2, IconMinus, IconX, type TablerIcon } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { cellSentence, type Cell, type DayState, type Lane } from '../model';
import classes from './Backups.module.css';

const icons: Record<DayState, TablerIcon> = { good: IconCheck, partial: IconCircleHalf2, failed: IconX, running: IconLoader2, none: IconMinus };
const words: Record<DayState, string> = { good: 'good', partial: 'partial or suspicious', failed: 'failed', running: 'being made', none: 'none' };

const dayText = (day: number) => new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short' }).format(day);
const dayNumber = (day: number) => new Intl.DateTimeFormat('en-GB', { day: 'numeric' }).format(day);

interface Props {
  project: string;
  lanes: readonly Lane[];
  onDay: (cluster: string, day: number) => void;
}

/** So many clusters at first: those without a good backup are among them. */
const FIRST = 12;

/** Is anything missing? A row a cluster, a cell a day; who has no good one comes first. */
export function DayStrip({ project, lanes, onDay }: Props) {
  const [whole, setWhole] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  // Where not all days fit, the newest are those that count.
  useEffect(() => place.current?.scrollTo({ left: place.current.scrollWidth }), []);
  const shown = whole ? lanes : lanes.slice(0, FIRST);
  const days = lanes[0]?.cells.map((c) => c.day) ?? [];
  return (
    <div ref={place} className={classes.strip} role="region" aria-label="Backups of the last 14 days" tabIndex={0}>
      <table>
        <caption className="ms-visually-hidden">Backups of the last 14 days, by cluster and day</caption>
        <thead>
          <tr>
            <th scope="col"><span className="ms-visually-hidden">Cluster</span></th>
            {days.map((day, n) => (
              <th key={day} scope="col">
                {n === days.length - 1 ? 'today' : dayNumber(day)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((lane) => (
            <LaneRow key={lane.cluster} project={project} lane={lane} onDay={onDay} />
          ))}
        </tbody>
      </table>
      {lanes.length > FIRST ? (
        <Button variant="default" size="compact-sm" mt={8} onClick={() => setWhole(!whole)} aria-expanded={whole}>
          {whole ? 'Show fewer' : `Show all ${lanes.length} clusters`}
        </Button>
      ) : null}
      <p className={classes.legend} aria-hidden>
        {(Object.keys(icons) as DayState[]).map((state) => {
          const Icon = icons[state];
          return (
            <span key={state} className={classes.copy}>
              <Icon size={14} stroke={1.75} /> {words[state]}
            </span>
          );
        })}
      </p>
    </div>
  );
}

interface RowProps extends Pick<Props, 'project' | 'onDay'> {
  lane: Lane;
}

/** What a lane shows: one that shows the same is not drawn again. */
const shows = ({ cluster, cells }: Lane) => [cluster, ...cells.map((c) => `${c.day} ${c.state} ${cellSentence(c)}`)].join('\n');

const LaneRow = memo(
  function LaneRow({ project, lane, onDay }: RowProps) {
    return (
      <tr>
        <th scope="row">
          <Anchor size="sm" renderRoot={(props) => <Link to="/p/$project/clusters/$cluster/backups" params={{ project, cluster: lane.cluster }} search={{}} {...props} />}>
            {lane.cluster}
          </Anchor>
        </th>
        {lane.cells.map((cell) => (
          <td key={cell.day}>
            <Day cell={cell} onOpen={() => onDay(lane.cluster, cell.day)} />
          </td>
        ))}
      </tr>
    );
  },
  (before, now) => before.project === now.project && shows(before.lane) === shows(now.lane),
);

function Day({ cell, onOpen }: { cell: Cell; onOpen: () => void }) {
  const Icon = icons[cell.state];
  const name = `${dayText(cell.day)}: ${cellSentence(cell)}`;
  if (cell.backups.length === 0) {
    return (
      <span className={classes.cell} data-state={cell.state} role="img" aria-label={name}>
        <Icon size={14} stroke={1.75} aria-hidden />
      </span>
    );
  }
  return (
    <Tooltip label={name}>
      <UnstyledButton className={classes.cell} data-state={cell.state} aria-label={name} onClick={onOpen}>
        <Icon size={16} stroke={2} aria-hidden />
      </UnstyledButton>
    </Tooltip>
  );
}
