import { useEffect, useRef, useState } from 'react';
import { useComputedColorScheme } from '@mantine/core';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import classes from './Chart.module.css';

export interface Line {
  label: string;
  /** Which of the four colours and dashes, by the node's number. */
  index: number;
}

interface Props {
  title: string;
  lines: readonly Line[];
  data: (number | null | undefined)[][];
  format: (value: number) => string;
  /** A fixed top, for percents. */
  max?: number;
  /** The least top: what is tiny is not drawn as if it were much. */
  least?: number;
  /** What it shows, in words. */
  sentence: string;
  sync: string;
}

const DASH = [undefined, [6, 3], [2, 3], [8, 3, 2, 3]];

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--ms-${name}`).trim();

const clock = (seconds: number, exact: boolean) => new Date(seconds * 1000).toLocaleTimeString('en-GB', exact ? {} : { hour: '2-digit', minute: '2-digit' });

function options({ lines, format, max, least = 1, sync }: Props, width: number, read: (text: string) => void): uPlot.Options {
  const axis = { stroke: colour('dim'), grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('control'), size: 4 }, font: '12px system-ui' };
  return {
    width,
    height: 180,
    legend: { show: false },
    cursor: { sync: { key: sync }, drag: { x: true, y: false }, points: { size: 6 } },
    scales: { y: { range: (_, __, top) => [0, max ?? Math.max(top * 1.1, least)] } },
    axes: [
      { ...axis, space: 80, values: (_, ticks, __, ___, step) => ticks.map((t) => clock(t, step < 60)), size: 28 },
      { ...axis, space: 36, size: 72, values: (_, ticks) => ticks.map((t) => format(t)) },
    ],
    series: [
      {},
      ...lines.map((line): uPlot.Series => {
        const n = line.index % 4;
        return { label: line.label, stroke: colour(`series-${n + 1}`), width: 1.75, dash: DASH[n], spanGaps: false, points: { show: false } };
      }),
    ],
    hooks: {
      setCursor: [
        (u) => {
          const i = u.cursor.idx;
          if (i === null || i === undefined) return read('');
          const time = u.data[0][i];
          const said = lines.map((line, n) => {
            const v = u.data[n + 1]?.[i];
            return `${line.label} ${v === null || v === undefined ? '–' : format(v)}`;
          });
          read(`${clock(time ?? 0, true)}  ${said.join('   ')}`);
        },
      ],
    },
  };
}

/** A chart whose cursor all charts of a cluster share; what it says stands in the line above, and in its name. */
export function Chart(props: Props) {
  const { title, lines, data, sentence, sync } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const current = useRef(props);
  const [text, setText] = useState('');
  const scheme = useComputedColorScheme();
  const shape = lines.map((l) => `${l.label} ${l.index}`).join();
  useEffect(() => {
    current.current = props;
    plot.current?.setData(data as uPlot.AlignedData);
  });
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const made = new uPlot(options(current.current, box.clientWidth || 300, setText), current.current.data as uPlot.AlignedData, box);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: box.clientWidth || 300, height: 180 }));
    watch.observe(box);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = undefined;
    };
    // Drawn anew where its lines or the colours change; data alone goes in by `setData`.
  }, [shape, scheme, sync]);
  return (
    <figure className={classes.figure}>
      <figcaption className={classes.title}>{title}</figcaption>
      <div className={classes.read}>{text || <Legend lines={lines} />}</div>
      <div ref={place} role="img" aria-label={sentence} className={classes.plot} />
    </figure>
  );
}

function Legend({ lines }: { lines: readonly Line[] }) {
  return (
    <span className={classes.legend}>
      {lines.map((line) => (
        <span key={line.label} className={classes.entry}>
          <svg width="20" height="8" aria-hidden>
            <line x1="0" y1="4" x2="20" y2="4" strokeWidth="2" stroke={`var(--ms-series-${(line.index % 4) + 1})`} strokeDasharray={DASH[line.index % 4]?.join(' ')} />
          </svg>
          {line.label}
        </span>
      ))}
    </span>
  );
}
