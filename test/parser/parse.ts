import { CairnError, type ErrorCode } from '../../src/errors/index.ts';
import { type Dockerfile, type Instruction, parseDockerfile } from '../../src/parser/index.ts';

/** Parses a text under the name `Dockerfile`. */
export function parse(text: string | Uint8Array): Dockerfile {
  return parseDockerfile(text, { file: 'Dockerfile' });
}

/** The instructions of the only stage of `FROM scratch` and the text. */
export function instructionsOf(text: string): readonly Instruction[] {
  return parse(`FROM scratch\n${text}`).stages[0]!.instructions;
}

/** The only instruction, which must be of that kind. */
export function only<K extends Instruction['kind']>(
  kind: K,
  text: string,
): Extract<Instruction, { kind: K }> {
  const all = instructionsOf(text);
  const [first] = all;
  if (all.length !== 1 || first?.kind !== kind)
    throw new Error(`not one ${kind}: ${all.map((one) => one.source)}`);
  return first as Extract<Instruction, { kind: K }>;
}

/** The code of the error that an action throws, with its line. */
export function failureOf(action: () => unknown): {
  code: ErrorCode;
  line: number | undefined;
  message: string;
} {
  try {
    action();
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    return { code: error.code, line: error.at?.line, message: error.message };
  }
  throw new Error('nothing was thrown');
}

/** What a span covers, as it stands in its source. */
export function marked(span: { source: string; column: number; length: number }): string {
  return span.source.split('\n')[0]!.slice(span.column - 1, span.column - 1 + span.length);
}
