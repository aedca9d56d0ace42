/** How wide text is on a terminal, and what of it may be shown there. */

/** Two cells: ideographs, kana, hangul, full-width forms, emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
/** No cell of its own: it belongs to the one before. */
const NONE = /\p{Mn}|\p{Me}|[\u200b-\u200d]|[\u{fe00}-\u{fe0f}]/u;
/** Steers a terminal, or turns the direction of what follows. */
// oxlint-disable-next-line no-control-regex
const STEERS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

export function widthOf(character: string): number {
  if (NONE.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

export function width(text: string): number {
  let all = 0;
  for (const character of text) all += widthOf(character);
  return all;
}

/** One line: nothing in it moves the cursor or does anything else. */
export function clean(text: string): string {
  return text.replace(STEERS, '\ufffd');
}

/** One line in which line ends and tabs are still to be seen. */
export function cell(text: string): string {
  return clean(text.replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t'));
}

/** Lines of their own, each clean. */
export function lines(text: string): string[] {
  return text.split(/\r\n|\n|\r/).map((line) => clean(line.replaceAll('\t', '    ')));
}
