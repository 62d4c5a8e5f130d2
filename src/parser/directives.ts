import { CairnError } from '../errors/index.ts';
import type { Word } from './instruction.ts';
import type { SourceText } from './source-text.ts';
import { spaceClass } from './space.ts';

const known: ReadonlySet<string> = new Set(['syntax', 'escape', 'check']);
const pattern = new RegExp(
  `^([a-zA-Z][a-zA-Z0-9]*)[${spaceClass}]*=[${spaceClass}]*(.*[^${spaceClass}])[${spaceClass}]*$`,
);

export interface DirectiveLine {
  /** Lower case. */
  readonly name: 'syntax' | 'escape' | 'check';
  readonly value: Word;
}

/** Recognises parser directives line by line; the first line that is none ends them for good. */
export class DirectiveScanner {
  private readonly prefix: string;
  private readonly seen = new Map<string, DirectiveLine>();
  private isOver = false;

  /** @param prefix - what a directive's line starts with: `#`, or `//` for other languages' files. */
  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** @throws {CairnError} DIRECTIVE_INVALID for a directive that was already given */
  read(source: SourceText, line: number): DirectiveLine | undefined {
    if (this.isOver) return undefined;
    const directive = this.match(source, line);
    this.isOver = directive === undefined;
    if (directive === undefined) return undefined;
    const earlier = this.seen.get(directive.name);
    if (earlier !== undefined) throw repeated(directive, earlier, source.lineSpan(line));
    this.seen.set(directive.name, directive);
    return directive;
  }

  private match(source: SourceText, line: number): DirectiveLine | undefined {
    const text = source.line(line);
    const indent = text.length - text.trimStart().length;
    if (!text.startsWith(this.prefix, indent)) return undefined;
    const body = text.slice(indent + this.prefix.length);
    const start = body.length - body.trimStart().length;
    const found = pattern.exec(body.slice(start));
    const name = found?.[1]?.toLowerCase();
    const value = found?.[2];
    if (name === undefined || value === undefined || !known.has(name)) return undefined;
    const column = indent + this.prefix.length + start + found![0].lastIndexOf(value) + 1;
    const span = source.span(line, column, line, column + value.length);
    return { name: name as DirectiveLine['name'], value: { text: value, span } };
  }
}

/** A directive by name, as BuildKit reads `syntax` and `check`: also behind a first line that starts with `#!`. */
export function findDirective(
  source: SourceText,
  name: 'syntax' | 'check',
  prefix: string,
): Word | undefined {
  const scanner = new DirectiveScanner(prefix);
  for (let line = source.text.startsWith('#!') ? 2 : 1; line <= source.lineCount; line += 1) {
    const directive = scanner.read(source, line);
    if (directive === undefined) return undefined;
    if (directive.name === name) return directive.value;
  }
  return undefined;
}

/**
 * The value of a `check=` directive in one comment line above an instruction, or undefined.
 * @param comment - without its `#` and outer blanks.
 */
export function checkDirectiveOf(comment: string): string | undefined {
  const found = pattern.exec(comment);
  return found?.[1]?.toLowerCase() === 'check' ? found[2] : undefined;
}

function repeated(
  directive: DirectiveLine,
  earlier: DirectiveLine,
  at: ReturnType<SourceText['lineSpan']>,
): CairnError {
  return new CairnError('DIRECTIVE_INVALID', {
    message: `only one ${directive.name} parser directive can be used`,
    at,
    notes: [{ message: 'it was given here', at: earlier.value.span }],
    help: 'remove one of them',
  });
}
