import { CairnError } from '../errors/index.ts';
import { parseFlags } from './flags.ts';
import type { Instruction, OnbuildInstruction } from './instruction.ts';
import type { InstructionContext } from './instruction-context.ts';
import type { Trigger } from './node.ts';

/**
 * ONBUILD and its trigger. Only the trigger's keyword is judged here: BuildKit stores whatever follows, and a fault in
 * it shows when the image is built upon. It is kept as `problem`, for a warning.
 * @param parseTrigger - turns the trigger's node into an instruction.
 */
export function parseOnbuild(
  context: InstructionContext,
  parseTrigger: (inner: InstructionContext) => Instruction,
): OnbuildInstruction {
  const { node } = context.node.args as Trigger;
  if (node === undefined) {
    throw context.error('ARGUMENT_MISSING', 'ONBUILD needs an instruction', 'write ONBUILD RUN command');
  }
  parseFlags(context, {});
  const inner = context.inner(node);
  checkKeyword(inner);
  const result = attempt(() => parseTrigger(inner));
  return { ...context.base(), kind: 'onbuild', trigger: triggerText(context), ...result };
}

function checkKeyword(inner: InstructionContext): void {
  const keyword = inner.keyword.toUpperCase();
  if (keyword !== 'ONBUILD' && keyword !== 'FROM' && keyword !== 'MAINTAINER') return;
  throw new CairnError('ONBUILD_TRIGGER_INVALID', {
    message: `ONBUILD cannot have ${keyword} as its instruction`,
    at: inner.spanOf(inner.node.keyword),
    help:
      keyword === 'ONBUILD'
        ? 'triggers are not inherited: write ONBUILD once'
        : `${keyword} works at its own place only`,
  });
}

/** The text behind ONBUILD with its heredocs as written: what the image's config stores. */
function triggerText(context: InstructionContext): string {
  const line = context.line.text.replace(/^[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*/i, '');
  return line + context.heredocs.map(({ rawBody, name }) => `\n${rawBody}${name}`).join('');
}

function attempt(parse: () => Instruction): { instruction: Instruction } | { problem: CairnError } {
  try {
    return { instruction: parse() };
  } catch (error) {
    if (error instanceof CairnError) return { problem: error };
    throw error;
  }
}
