/** Every colour of the page, as `[light, dark]`. No other file names one. */
export const colours = {
  bg: ['#f6f7f9', '#0f1317'],
  surface: ['#ffffff', '#171c22'],
  raised: ['#ffffff', '#1e242b'],
  sunken: ['#eef0f3', '#0b0e11'],
  hover: ['#f0f3f6', '#1b2128'],
  selected: ['#e8f0fc', '#17273f'],
  line: ['#dfe3e8', '#2b333c'],
  control: ['#7c8794', '#6f7b88'],
  text: ['#1a2027', '#e7ebef'],
  dim: ['#56606b', '#a3adb8'],
  accent: ['#1f5fbf', '#6fa8ff'],
  focus: ['#1f5fbf', '#6fa8ff'],
  fill: ['#1f5fbf', '#2a6cd0'],
  'fill-hover': ['#194e9e', '#3072d6'],
  'danger-fill': ['#c02420', '#c93a30'],
  'danger-fill-hover': ['#931d17', '#c02420'],
  'on-fill': ['#ffffff', '#ffffff'],
  'series-1': ['#1f5fbf', '#5f9bff'],
  'series-2': ['#c26100', '#f5b45e'],
  'series-3': ['#12222f', '#f1f4f7'],
  'series-4': ['#a3338c', '#d964b8'],
} as const satisfies Record<string, readonly [string, string]>;

/** A tone's ink on its soft fill. `bad` is solid; `badText` is how it looks inside a text. */
export const tones = {
  good: { ink: ['#0b7a67', '#4fd1b5'], soft: ['#e0f4ef', '#0e2b27'] },
  busy: { ink: ['#1f5fbf', '#6fa8ff'], soft: ['#e8f0fc', '#17273f'] },
  warn: { ink: ['#7a4a00', '#f5c451'], soft: ['#fdf0d8', '#33260d'] },
  bad: { ink: ['#ffffff', '#0f1317'], soft: ['#c02420', '#ff8577'] },
  'bad-text': { ink: ['#c02420', '#ff8577'], soft: ['#fdeae8', '#3b1614'] },
  idle: { ink: ['#56606b', '#a3adb8'], soft: ['#eef0f3', '#232a32'] },
  unknown: { ink: ['#4b2a80', '#dccbff'], soft: ['#f2ebfb', '#2a1f3d'] },
} as const satisfies Record<string, { ink: readonly [string, string]; soft: readonly [string, string] }>;

export const shadow = ['0 4px 16px rgb(0 0 0 / .12)', '0 4px 16px rgb(0 0 0 / .5)'] as const;

/** The variables of one scheme: `--ms-bg`, `--ms-good-ink`, … */
export function variables(dark: boolean): Record<string, string> {
  const side = dark ? 1 : 0;
  const out: Record<string, string> = { '--ms-shadow': shadow[side] };
  for (const [name, pair] of Object.entries(colours)) out[`--ms-${name}`] = pair[side];
  for (const [name, tone] of Object.entries(tones)) {
    out[`--ms-${name}-ink`] = tone.ink[side];
    out[`--ms-${name}-soft`] = tone.soft[side];
  }
  return out;
}
