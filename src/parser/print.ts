import type { Dockerfile, EscapeCharacter, InstructionBase } from './instruction.ts';

/** Longer lines are broken with continuations: a physical line may have 65,535 bytes. */
const maxLineLength = 20_000;

/**
 * A Dockerfile's text: directives, comments, instructions one to a line with their heredocs. Parsing it gives the
 * same instructions again, save for their places and for blank lines and comments inside continuations.
 */
export function printDockerfile({ directives, globalArgs, stages }: Dockerfile): string {
  // A blank line ends the directives, so that a comment is not taken for one.
  const head = [
    directives.syntax && `# syntax=${directives.syntax.text}\n`,
    directives.escape !== '\\' && `# escape=${directives.escape}\n`,
    directives.check && `# check=${directives.check.text}\n`,
    '\n',
  ].filter((line) => typeof line === 'string');
  const instructions: readonly InstructionBase[] = [
    ...globalArgs,
    ...stages.flatMap((stage) => [stage.from, ...stage.instructions]),
  ];
  return [...head, ...instructions.map((one) => printInstruction(one, directives.escape))].join('');
}

function printInstruction(instruction: InstructionBase, escapeCharacter: EscapeCharacter): string {
  // The empty comment keeps those of the instruction above away.
  const comments =
    instruction.comments.length === 0
      ? ''
      : `#\n${instruction.comments.map((text) => `# ${text}\n`).join('')}`;
  const heredocs = instruction.heredocs.map(({ rawBody, name }) => `${rawBody}${name}\n`).join('');
  return `${comments}${breakLines(instruction.untrimmed, escapeCharacter)}\n${heredocs}`;
}

function breakLines(text: string, escapeCharacter: EscapeCharacter): string {
  const lines: string[] = [];
  let from = 0;
  while (text.length - from > maxLineLength) {
    const cut = breakBefore(text, from + maxLineLength, escapeCharacter);
    if (cut <= from) break;
    lines.push(`${text.slice(from, cut)}${escapeCharacter}`);
    from = cut;
  }
  const rest = text.slice(from);
  // Only at the end of a file a text ends as a continued line does: there a continuation joins nothing, and goes.
  lines.push(isContinued(rest, escapeCharacter) ? `${rest}${escapeCharacter}` : rest);
  return lines.join('\n');
}

/** A place near `at` where a line may end: not behind an escape, nor before what would be a blank line or comment. */
function breakBefore(text: string, at: number, escapeCharacter: EscapeCharacter): number {
  for (let cut = at; cut > at - maxLineLength / 2; cut -= 1) {
    if (text.charAt(cut - 1) !== escapeCharacter && /[A-Za-z0-9]/.test(text.charAt(cut))) return cut;
  }
  return 0;
}

/** Ends in an escape character, or in a carriage return that would be read as part of the line end. */
function isContinued(line: string, escapeCharacter: EscapeCharacter): boolean {
  const text = line.replace(/[ \t]+$/, '');
  if (line.endsWith('\r')) return true;
  return text.endsWith(escapeCharacter) && !text.endsWith(escapeCharacter.repeat(2));
}
