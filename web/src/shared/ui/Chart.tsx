import { useEffect, useRef, useState } from 'react';
import { useComputedColorScheme } from '@mantine/core';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { LineMark } from './LineMark';
import { HEIGHT, plotKey, plotOptions, type Drawing } from './plot';
import classes from './Chart.module.css';

interface Props extends Drawing {
  title: string;
  /** Unix seconds, and the values of each line by its label; unknown is `null`. */
  data: { t: readonly number[]; series: Readonly<Record<string, readonly (number | null)[]>> };
  /** What it shows, in words. */
  sentence: string;
}

const aligned = ({ data, lines }: Props) => [data.t, ...lines.map((line) => data.series[line.label] ?? data.t.map(() => null))] as unknown as uPlot.AlignedData;

/** Whether less is shown than there is: then new data leave the view as it was chosen. */
function zoomed(u: uPlot): boolean {
  const times = u.data[0];
  const { min, max } = u.scales['x'] as { min?: number; max?: number };
  return min !== undefined && max !== undefined && times.length > 1 && max - min < (times.at(-1) as number) - (times[0] as number) - 0.5;
}

/** A chart whose cursor all charts of a cluster share; what it says stands in the line above, and in its name. */
export function Chart(props: Props) {
  const { title, lines, sentence, sync, max } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const current = useRef(props);
  const [text, setText] = useState('');
  const scheme = useComputedColorScheme();
  const shape = `${lines.map((l) => `${l.label} ${l.index}`).join()} ${max}`;
  useEffect(() => {
    current.current = props;
    const u = plot.current;
    if (!u) return;
    const kept = zoomed(u);
    u.setData(aligned(props), !kept);
    if (kept) u.redraw();
  });
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const made = new uPlot(plotOptions(current.current, box.clientWidth || 300, setText), aligned(current.current), box);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: box.clientWidth || 300, height: HEIGHT }));
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
      <div className={classes.read}>
        {text || (
          <span className={classes.legend}>
            {lines.map((line) => (
              <span key={line.label} className={classes.entry}>
                <LineMark index={line.index} />
                {line.label}
              </span>
            ))}
          </span>
        )}
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <div
        ref={place}
        role="img"
        aria-label={sentence}
        className={classes.plot}
        tabIndex={0}
        onKeyDown={(event) => {
          if (event.ctrlKey || event.metaKey || event.altKey) return;
          if (plot.current && plotKey(plot.current, event.key, event.shiftKey)) event.preventDefault();
        }}
      />
    </figure>
  );
}
