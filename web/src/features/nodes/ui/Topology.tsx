import type { Cluster, Node } from '~/api/schema';
import { useMediaQuery } from '@mantine/hooks';
import { lookOf } from '~/shared/lib/statuses';
import { lagText } from '~/shared/ui/Lag';
import { edge } from '../model';
import classes from './Topology.module.css';

const BOX = { w: 208, h: 76, gap: 32 };

interface Placed {
  node: Node;
  x: number;
  y: number;
}

/** The primary on top, replicas below; on a phone one below the other. */
function place(nodes: readonly Node[], small: boolean): { placed: Placed[]; width: number; height: number } {
  const primary = nodes.filter((n) => n.role === 'primary');
  const replicas = nodes.filter((n) => n.role !== 'primary');
  const left = small ? 16 : 176;
  const columns = small ? 1 : Math.max(1, Math.min(replicas.length, 4));
  const width = left + columns * (BOX.w + BOX.gap);
  const middle = left + (columns * (BOX.w + BOX.gap) - BOX.gap - BOX.w) / 2;
  const top = small ? 72 : 24;
  const placed = primary.map((node) => ({ node, x: small ? left : middle, y: top }));
  const start = placed.length > 0 ? top + BOX.h + 72 : top;
  replicas.forEach((node, i) => {
    placed.push({ node, x: left + (i % columns) * (BOX.w + BOX.gap), y: start + Math.floor(i / columns) * (BOX.h + 56) });
  });
  const height = Math.max(...placed.map((p) => p.y), 0) + BOX.h + 24;
  return { placed, width, height };
}

/** A drawing of what the table says, from the same data. */
export function Topology({ cluster, onOpen }: { cluster: Cluster; onOpen: (n: Node) => void }) {
  const small = useMediaQuery('(max-width: 767px)') ?? false;
  const { placed, width, height } = place(cluster.nodes, small);
  const primary = placed.find((p) => p.node.role === 'primary');
  const replicas = placed.filter((p) => p.node.role !== 'primary');
  return (
    <div className={classes.place}>
      <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="group" aria-label={`Topology of ${cluster.name}`}>
        {primary ? <EndpointMark label="Read and write" x={primary.x} y={primary.y + BOX.h / 2} small={small} /> : null}
        {cluster.endpoints.read_only && replicas[0] && !small ? <EndpointMark label="Read only" x={replicas[0].x} y={replicas[0].y + BOX.h / 2} small={small} /> : null}
        {primary ? replicas.map((r) => <Way key={r.node.id} from={primary} to={r} />) : null}
        {placed.map((p) => (
          <Box key={p.node.id} placed={p} onOpen={onOpen} />
        ))}
      </svg>
    </div>
  );
}

function EndpointMark({ label, x, y, small }: { label: string; x: number; y: number; small: boolean }) {
  if (small) {
    return (
      <g className={classes.endpoint}>
        <text x={x + 8} y={y - BOX.h / 2 - 36}>
          {label}
        </text>
        <path d={`M${x + 40} ${y - BOX.h / 2 - 28} v20`} />
      </g>
    );
  }
  return (
    <g className={classes.endpoint}>
      <text x={16} y={y + 5}>
        {label}
      </text>
      <path d={`M120 ${y} H${x - 8} m-6 -5 l6 5 l-6 5`} />
    </g>
  );
}

function Way({ from, to }: { from: Placed; to: Placed }) {
  const kind = edge(to.node);
  const [x1, y1, x2, y2] = [from.x + BOX.w / 2, from.y + BOX.h, to.x + BOX.w / 2, to.y];
  const text = kind === 'no_news' ? '?' : (lagText(to.node) ?? 'catching up');
  return (
    <g className={classes.edge} data-kind={kind} data-testid="topology-edge">
      <path d={`M${x1} ${y1} C${x1} ${y1 + 40} ${x2} ${y2 - 40} ${x2} ${y2 - 2}`} />
      {/* On the side that the line does not come from. */}
      <text x={x2 + (x1 > x2 ? -8 : 8)} y={y2 - 14} textAnchor={x1 > x2 ? 'end' : 'start'}>
        {text}
      </text>
    </g>
  );
}

function Box({ placed: { node: n, x, y }, onOpen }: { placed: Placed; onOpen: (n: Node) => void }) {
  const look = lookOf('node', n.status);
  const Icon = look.icon;
  const role = n.role === 'primary' ? 'Primary' : 'Replica';
  return (
    <foreignObject x={x} y={y} width={BOX.w} height={BOX.h}>
      <button type="button" className={classes.node} data-tone={look.tone} onClick={() => onOpen(n)}>
        <span className={classes.name}>{n.name}</span>
        <span className={classes.state}>
          <Icon size={16} stroke={1.75} aria-hidden className={classes.icon} />
          {look.word} · {role}
        </span>
        <span className={classes.host}>{n.host}</span>
      </button>
    </foreignObject>
  );
}
