import { CairnError, hasCode } from '../errors/index.ts';
import { findDirective } from './directives.ts';
import type {
  ArgInstruction,
  Directives,
  Dockerfile,
  EscapeCharacter,
  FromInstruction,
  Instruction,
  Stage,
} from './instruction.ts';
import type { InstructionContext } from './instruction-context.ts';
import { keywords } from './lexer.ts';
import { LineReader } from './line-reader.ts';
import { rules } from './lint-rules.ts';
import { parseCmd, parseEntrypoint, parseHealthcheck, parseShell } from './parse-command.ts';
import { parseAdd, parseCopy } from './parse-copy.ts';
import { parseFrom } from './parse-from.ts';
import {
  parseExpose,
  parseMaintainer,
  parseStopsignal,
  parseUser,
  parseVolume,
  parseWorkdir,
} from './parse-metadata.ts';
import { parseOnbuild } from './parse-onbuild.ts';
import { describe, parseArg, parseEnv, parseLabel } from './parse-pairs.ts';
import { parseRun } from './parse-run.ts';
import { readNodes } from './read-nodes.ts';
import { SourceText } from './source-text.ts';
import { suggest } from './suggest.ts';
import { checkSyntax } from './syntax-directive.ts';

export interface ParseOptions {
  /** The name that messages show: the path as the user gave it. */
  readonly file: string;
  /** The frontend to read it with (the build argument BUILDKIT_SYNTAX), instead of what the file asks for. */
  readonly syntax?: string;
}

/**
 * Parses a Dockerfile: text in, typed instructions out. Nothing is expanded, read or looked up.
 * @param content - UTF-8 bytes or text.
 * @throws {CairnError} a code of the parser's part of the catalogue, with the place in the text
 */
export function parseDockerfile(content: string | Uint8Array, { file, syntax }: ParseOptions): Dockerfile {
  const source = new SourceText(content, file);
  if (source.text === '') throw empty(file, 'the Dockerfile is empty');
  checkSyntax(source, syntax);
  const reader = new LineReader(source);
  const globalArgs: ArgInstruction[] = [];
  const stages: { from: FromInstruction; instructions: Instruction[] }[] = [];
  let above: InstructionContext | undefined;
  for (const context of readNodes(reader)) {
    const parsed = parseBelow(above, context);
    above = context;
    const stage = stages.at(-1);
    if (parsed.kind === 'from') stages.push({ from: parsed, instructions: [] });
    else if (stage !== undefined) stage.instructions.push(parsed);
    else if (parsed.kind === 'arg') globalArgs.push(parsed);
    else throw beforeFrom(context);
  }
  const lastArg = globalArgs.at(-1);
  if (stages.length === 0 && lastArg === undefined) throw empty(file, 'the Dockerfile has no instructions');
  if (stages.length === 0) throw noStage(lastArg);
  return {
    file,
    directives: directivesOf(source, reader),
    globalArgs,
    stages: stages.map(toStage),
    warnings: reader.emptyContinuations.map((span) => rules.NoEmptyContinuation.diagnose(span)),
  };
}

/**
 * Parses one instruction that stands alone: a trigger from an image's OnBuild list.
 * @throws {CairnError} as `parseDockerfile`; ARGUMENT_UNEXPECTED when there is more than one
 */
export function parseInstruction(
  text: string,
  options: ParseOptions & { readonly escape?: EscapeCharacter },
): Instruction {
  const { file } = options;
  const reader = new LineReader(new SourceText(text, file), options.escape);
  const [context, second] = [...readNodes(reader)];
  if (context === undefined) throw empty(file, 'the instruction is empty');
  if (second !== undefined) {
    throw second.error(
      'ARGUMENT_UNEXPECTED',
      'there is a second instruction in one trigger',
      'use one ONBUILD for each',
    );
  }
  const parsed = parseNode(context);
  if (parsed.kind !== 'from') return parsed;
  throw new CairnError('ONBUILD_TRIGGER_INVALID', { message: 'FROM cannot be a trigger', at: parsed.span });
}

function parseBelow(
  above: InstructionContext | undefined,
  context: InstructionContext,
): Instruction | FromInstruction {
  try {
    return parseNode(context);
  } catch (error) {
    throw withHeredocNote(error, above);
  }
}

/** Gives a node its meaning. */
function parseNode(context: InstructionContext): Instruction | FromInstruction {
  return context.keyword.toLowerCase() === 'from' ? parseFrom(context) : parseStageInstruction(context);
}

const parsers: Readonly<Record<string, (context: InstructionContext) => Instruction>> = {
  add: parseAdd,
  arg: parseArg,
  cmd: parseCmd,
  copy: parseCopy,
  entrypoint: parseEntrypoint,
  env: parseEnv,
  expose: parseExpose,
  healthcheck: parseHealthcheck,
  label: parseLabel,
  maintainer: parseMaintainer,
  onbuild: (context) => parseOnbuild(context, parseStageInstruction),
  run: parseRun,
  shell: parseShell,
  stopsignal: parseStopsignal,
  user: parseUser,
  volume: parseVolume,
  workdir: parseWorkdir,
};

function parseStageInstruction(context: InstructionContext): Instruction {
  const name = context.keyword.toLowerCase();
  const parse = Object.hasOwn(parsers, name) ? parsers[name] : undefined;
  if (parse === undefined) throw unknownInstruction(context);
  return parse(context);
}

function toStage(
  { from, instructions }: { from: FromInstruction; instructions: Instruction[] },
  index: number,
): Stage {
  const name = from.alias?.text.toLowerCase();
  const description = name === undefined ? undefined : describe(from.comments, name);
  return {
    index,
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    from,
    instructions,
  };
}

function directivesOf(source: SourceText, reader: LineReader): Directives {
  const syntax = findDirective(source, 'syntax', '#');
  const check = findDirective(source, 'check', '#');
  return { escape: reader.escape, ...(syntax && { syntax }), ...(check && { check }) };
}

function unknownInstruction(context: InstructionContext): CairnError {
  const near = suggest(context.keyword, keywords, true);
  const at = context.spanOf(context.node.keyword);
  return new CairnError('UNKNOWN_INSTRUCTION', {
    message: `unknown instruction ${context.keyword}`,
    at,
    help:
      near !== undefined
        ? `did you mean ${near.toUpperCase()}?`
        : at.line === 1
          ? 'start with an instruction, such as FROM or ARG'
          : `if this belongs to the instruction above, end the line above with ${context.escape}`,
  });
}

/** Why a line that was meant as a heredoc's body is taken for an instruction. */
function withHeredocNote(error: unknown, above: InstructionContext | undefined): unknown {
  if (!hasCode(error, 'UNKNOWN_INSTRUCTION') || above === undefined) return error;
  const isHeredocLost =
    /^(?:run|copy|add)$/i.test(above.keyword) && /<</.test(above.source) && above.heredocs.length === 0;
  if (!isHeredocLost) return error;
  return new CairnError('UNKNOWN_INSTRUCTION', {
    message: error.message,
    ...(error.at && { at: error.at }),
    notes: [
      {
        message: 'the "<<" here starts no heredoc: a quote or a ${ on its line is not closed',
        at: above.textSpan,
      },
    ],
    help: 'close it, or escape it, if these lines are the body of a heredoc',
  });
}

function beforeFrom(context: InstructionContext): CairnError {
  return new CairnError('NO_BUILD_STAGE', {
    message: `${context.keyword.toUpperCase()} stands before the first FROM`,
    at: context.textSpan,
    notes: [{ message: 'only ARG may stand there' }],
    help: 'start the Dockerfile with FROM image (FROM scratch for none)',
  });
}

function noStage(last: ArgInstruction | undefined): CairnError {
  return new CairnError('NO_BUILD_STAGE', {
    message: 'the Dockerfile has no FROM, so there is nothing to build',
    ...(last && { at: last.span }),
    help: 'add FROM image after the ARGs',
  });
}

function empty(file: string, message: string): CairnError {
  return new CairnError('DOCKERFILE_EMPTY', {
    message,
    at: { file, line: 1, column: 1, length: 1, endLine: 1, source: '' },
    help: 'start it with FROM image (FROM scratch for none)',
  });
}
