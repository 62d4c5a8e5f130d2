/** How far a tab reaches at most when source is shown. */
const tabWidth = 4;

/** Characters that act on a terminal or on the order of text instead of showing. */
const unprintable = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/u;
const zeroWidth = /^(?:[\p{Mn}\p{Me}]|[\u200b-\u200d\u2060]|[\ufe00-\ufe0f])$/u;
/** Double-width characters: East Asian wide and full-width forms, and emoji shown as pictures. */
const wide =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}])$/u;

/** One line of source, ready for a terminal, and where its characters come to stand. */
export interface DisplayLine {
  readonly text: string;
  /** For each code unit of the source line, and for its end: the column on the terminal, from 0. */
  readonly columns: readonly number[];
}

/**
 * Text of users, images or registries made harmless for a terminal: control characters, broken surrogates and those
 * that reorder text become escapes such as `\x1b`. Line feeds and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(/[^\n\t]/gu, (character) =>
    unprintable.test(character) ? escapeOf(character) : character,
  );
}

/** Lays a source line out: tabs become blanks, unprintable characters escapes, wide characters count twice. */
export function layOut(line: string): DisplayLine {
  const columns: number[] = [];
  let text = '';
  let column = 0;
  for (const character of line) {
    for (let unit = 0; unit < character.length; unit += 1) columns.push(column);
    const shown = display(character, column);
    text += shown.text;
    column += shown.width;
  }
  columns.push(column);
  return { text, columns };
}

/** The part of a laid-out text between two columns; a wide character that is cut in half counts as a blank. */
export function sliceColumns(text: string, from: number, to: number): string {
  let column = 0;
  let part = '';
  for (const character of text) {
    const next = column + widthOf(character);
    if (column >= from && next <= to) part += character;
    else if (next > from && column < to && next > column)
      part += ' '.repeat(Math.min(next, to) - Math.max(column, from));
    column = next;
  }
  return part;
}

function display(character: string, column: number): { text: string; width: number } {
  if (character === '\t') {
    const width = tabWidth - (column % tabWidth);
    return { text: ' '.repeat(width), width };
  }
  if (unprintable.test(character)) {
    const text = escapeOf(character);
    return { text, width: text.length };
  }
  return { text: character, width: widthOf(character) };
}

function widthOf(character: string): number {
  if (character >= ' ' && character <= '~') return 1;
  if (zeroWidth.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0)!.toString(16);
  return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`;
}
