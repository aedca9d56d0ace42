import uPlot from 'uplot';
import { gapsOf } from '~/shared/lib/gaps';
import { DASH } from './LineMark';

export interface Line {
  label: string;
  /** Which of the four colours and dashes, by the node's number. */
  index: number;
}

export interface Drawing {
  lines: readonly Line[];
  format: (value: number) => string;
  /** A fixed top, for percents. */
  max?: number;
  /** The least top: what is tiny is not drawn as if it were much. */
  least?: number;
  sync: string;
}

export const HEIGHT = 180;

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--ms-${name}`).trim();

const clock = (seconds: number, exact: boolean) => new Date(seconds * 1000).toLocaleTimeString('en-GB', exact ? {} : { hour: '2-digit', minute: '2-digit' });

/** Where nothing is known: a hatched band, with its times where there is room for them. */
function hatch(u: uPlot) {
  const [t, ...lines] = u.data;
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  for (const gap of gapsOf(t, lines)) {
    const from = Math.max(bbox.left, u.valToPos(gap.from, 'x', true));
    const to = Math.min(bbox.left + bbox.width, u.valToPos(gap.to, 'x', true));
    if (to <= from) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(from, bbox.top, to - from, bbox.height);
    ctx.clip();
    ctx.strokeStyle = colour('line');
    ctx.lineWidth = ratio;
    for (let x = from - bbox.height; x < to; x += 8 * ratio) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    const text = `no data ${clock(gap.from, false)}–${clock(gap.to, false)}`;
    ctx.font = `${12 * ratio}px system-ui`;
    if (ctx.measureText(text).width + 8 * ratio < to - from) {
      ctx.fillStyle = colour('dim');
      ctx.textAlign = 'center';
      ctx.fillText(text, (from + to) / 2, bbox.top + 16 * ratio);
    }
    ctx.restore();
  }
}

/** `read` hears what stands under the cursor, as a line of text. */
export function plotOptions({ lines, format, max, least = 1, sync }: Drawing, width: number, read: (text: string) => void): uPlot.Options {
  const axis = { stroke: colour('dim'), grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('control'), size: 4 }, font: '12px system-ui' };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { sync: { key: sync }, drag: { x: true, y: false }, points: { size: 6 } },
    scales: { y: { range: (_, __, top) => [0, max ?? Math.max((top ?? 0) * 1.1, least)] } },
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
      drawClear: [hatch],
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

/** Arrows move the cursor, with Shift they narrow what is shown around it; `0` shows all again. */
export function plotKey(u: uPlot, key: string, shift: boolean): boolean {
  const times = u.data[0];
  const { min, max } = u.scales['x'] as { min?: number; max?: number };
  if (times.length < 2 || min === undefined || max === undefined) return false;
  if (key === '0') {
    u.setScale('x', { min: times[0] as number, max: times.at(-1) as number });
    return true;
  }
  if (key !== 'ArrowLeft' && key !== 'ArrowRight') return false;
  const at = u.cursor.idx ?? times.length - 1;
  if (shift) {
    const span = (max - min) * (key === 'ArrowRight' ? 0.5 : 2);
    const middle = times[at] as number;
    const from = Math.max(times[0] as number, middle - span / 2);
    u.setScale('x', { min: from, max: Math.min(times.at(-1) as number, Math.max(from + 1, middle + span / 2)) });
    return true;
  }
  const next = Math.min(times.length - 1, Math.max(0, at + (key === 'ArrowRight' ? 1 : -1)));
  u.setCursor({ left: u.valToPos(times[next] as number, 'x'), top: u.over.clientHeight / 2 });
  return true;
}
