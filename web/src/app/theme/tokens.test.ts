import { describe, expect, it } from 'vitest';
import { colours, tones } from './tokens';

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.040_45 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [hi, lo] = [luminance(a), luminance(b)].toSorted((x, y) => y - x);
  return (hi! + 0.05) / (lo! + 0.05);
}

const surfaces = ['bg', 'surface', 'raised', 'sunken', 'hover', 'selected'] as const;

describe.each([
  ['light', 0],
  ['dark', 1],
] as const)('%s', (_, side) => {
  it.each(surfaces)('text, secondary text, links and controls stand out on %s', (name) => {
    const under = colours[name][side];
    expect(contrast(colours.text[side], under)).toBeGreaterThanOrEqual(12);
    expect(contrast(colours.dim[side], under)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(colours.accent[side], under)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(colours.control[side], under)).toBeGreaterThanOrEqual(3);
  });

  it.each(Object.entries(tones))('the ink of %s can be read on its fill', (_name, tone) => {
    expect(contrast(tone.ink[side], tone.soft[side])).toBeGreaterThanOrEqual(4.5);
  });

  it.each(Object.entries(tones).filter(([name]) => name !== 'bad'))('the word of a badge can be read on %s', (_name, tone) => {
    expect(contrast(colours.text[side], tone.soft[side])).toBeGreaterThanOrEqual(12);
  });

  it.each(surfaces)('a failure told inside a text can be read on %s', (name) => {
    expect(contrast(tones['bad-text'].ink[side], colours[name][side])).toBeGreaterThanOrEqual(4.5);
  });

  it('filled buttons can be read and seen', () => {
    for (const fill of ['fill', 'fill-hover', 'danger-fill', 'danger-fill-hover'] as const) {
      expect(contrast(colours['on-fill'][side], colours[fill][side])).toBeGreaterThanOrEqual(4.5);
    }
    expect(contrast(colours.fill[side], colours.raised[side])).toBeGreaterThanOrEqual(3);
    expect(contrast(colours['danger-fill'][side], colours.raised[side])).toBeGreaterThanOrEqual(3);
  });

  it('lines of a chart stand out from the card', () => {
    for (const n of [1, 2, 3, 4] as const) {
      expect(contrast(colours[`series-${n}`][side], colours.surface[side])).toBeGreaterThanOrEqual(4);
    }
  });
});
