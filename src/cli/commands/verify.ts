import { findingText, readRecord, type VerifiedStep, verifyImage } from '../../builder/index.ts';
import { printable } from '../../errors/index.ts';
import { againFlags, againOptions } from '../build/again-flags.ts';
import type { Command, Invocation } from '../command.ts';
import { type OpenStore, withStore } from '../open-store.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [CONTEXT]',
  summary: 'Execute each RUN of an image again in a varied environment, and name what differs',
  args: { min: 1, max: 2 },
  flags: againFlags,
  run: (invocation) => withStore(invocation.host, (store) => verify(invocation, store)),
};

/** @returns 1 when a layer differs */
async function verify(invocation: Invocation, store: OpenStore): Promise<number> {
  const {
    host,
    flags,
    args: [name = '', context = '.'],
  } = invocation;
  const record = readRecord(store, store.images.get(name), name);
  const isJson = flags.text('format') === 'json';
  const isQuiet = flags.bool('quiet');
  const steps = await verifyImage(record, {
    ...againOptions(invocation, store, context),
    onVerified: (step) => {
      if (isJson) host.stdout.write(`${JSON.stringify(documentOf(step))}\n`);
      else if (!isQuiet) host.stdout.write(stepText(step));
    },
  });
  if (!isJson) host.stdout.write(`${summary(steps)}\n`);
  return steps.some(({ findings }) => findings.length > 0) ? 1 : 0;
}

type Verdict = 'same' | 'different' | 'skipped';

function verdictOf({ findings, skipped }: VerifiedStep): Verdict {
  if (skipped !== undefined) return 'skipped';
  return findings.length === 0 ? 'same' : 'different';
}

function documentOf(step: VerifiedStep) {
  const { name, at, layer, findings, skipped } = step;
  const place = { file: at.file, line: at.line };
  return { step: name, ...place, layer, verdict: verdictOf(step), findings, ...(skipped && { skipped }) };
}

function stepText(step: VerifiedStep): string {
  const { name, at, findings, skipped } = step;
  const [line = ''] = name.split('\n');
  const head = `${verdictOf(step)}: ${at.file}:${at.line} ${line}${skipped ? ` (${skipped})` : ''}`;
  return [head, ...findings.map((finding) => indented(findingText(finding)))]
    .map((text) => `${printable(text)}\n`)
    .join('');
}

function indented(text: string): string {
  return text.replace(/^/gm, '  ');
}

function summary(steps: readonly VerifiedStep[]): string {
  const count = (verdict: Verdict): number => steps.filter((step) => verdictOf(step) === verdict).length;
  const [same, different, skipped] = [count('same'), count('different'), count('skipped')];
  if (steps.length === 0) return 'the image has no RUN step: nothing to execute again';
  const parts = [`${same} of ${steps.length} RUN steps gave the same layer`];
  if (different > 0) parts.push(`${different} another one`);
  if (skipped > 0) parts.push(`${skipped} could not be checked`);
  return parts.join(', ');
}
