import { describeRecord, type RecordPart } from '../../builder/index.ts';
import { CairnError, printable } from '../../errors/index.ts';
import { hexOf } from '../../oci/index.ts';
import { type StepUsage, stepUsage } from '../../store/index.ts';
import type { Command } from '../command.ts';
import { humanDuration, humanSize } from '../format/index.ts';
import { shortId } from '../image/short-id.ts';
import { stepKeptBy } from '../kept-by.ts';
import { type OpenStore, withStore } from '../open-store.ts';

export const command: Command = {
  usage: '[OPTIONS] STEP',
  summary: 'Say why a step was executed, and what its result depends on',
  args: { min: 1, max: 1 },
  flags: [{ name: 'no-trunc', kind: 'bool', help: 'Show all files and variables' }],
  run: ({ host, flags, args: [wanted = ''] }) =>
    withStore(host, (store) => {
      const [step, ...others] = findSteps(store, wanted);
      if (step === undefined)
        throw new CairnError('CACHE_RECORD_NOT_FOUND', {
          message: `no step in the cache is like "${wanted}"`,
          help: 'give the beginning of an ID or a part of the instruction; "cairn cache ls" shows what there is',
        });
      const lines = [...facts(step, host.now()), ...inputs(store, step, flags.bool('no-trunc'))];
      host.stdout.write(`${lines.join('\n')}\n`);
      if (others.length > 0)
        host.stderr.write(
          `${others.length} older ${others.length === 1 ? 'record is' : 'records are'} like "${wanted}" too: ${others
            .slice(0, 5)
            .map(({ key }) => shortId(key))
            .join(', ')}\n`,
        );
      return 0;
    }),
};

/** Records whose ID starts so, or whose instruction holds the text; the latest first. */
function findSteps(store: OpenStore, wanted: string): readonly StepUsage[] {
  const all = stepUsage(store);
  const hex = wanted.replace(/^sha256:/, '').toLowerCase();
  const byId = /^[0-9a-f]{4,64}$/.test(hex) ? all.filter(({ key }) => hexOf(key).startsWith(hex)) : [];
  const text = wanted.toLowerCase();
  const found = byId.length > 0 ? byId : all.filter(({ name }) => name?.toLowerCase().includes(text));
  return found.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : a.createdAt > b.createdAt ? -1 : 0));
}

function facts(step: StepUsage, now: number): readonly string[] {
  const ago = (milliseconds: number): string => `${humanDuration(now - milliseconds)} ago`;
  const made = `${step.createdAt} (${ago(Date.parse(step.createdAt))}), in ${(step.durationMs / 1000).toFixed(1)}s`;
  return [
    printable(step.name ?? '(a layer found by its content)'),
    row('why executed', printable(step.reason ?? 'not noted')),
    row('made', made),
    row('last used', ago(step.lastUsedMs)),
    ...(step.place === '' ? [] : [row('place', printable(step.place))]),
    row('result', `${step.layer}, ${humanSize(step.sizeBytes)}`),
    row('kept by', printable(stepKeptBy(step))),
    row('cache ID', step.key),
  ];
}

/** Values of a part that are shown when not all are wanted. */
const shownValues = 10;

function inputs(store: OpenStore, { key }: StepUsage, isWhole: boolean): readonly string[] {
  const record = store.steps.peek(key);
  const parts = record === null ? [] : describeRecord(store.steps, record);
  if (parts.length === 0) return [];
  return ['', 'depends on', ...parts.flatMap((part) => partLines(part, isWhole))];
}

function partLines({ name, values }: RecordPart, isWhole: boolean): readonly string[] {
  const shown = isWhole ? values : values.slice(0, shownValues);
  const rest = values.length - shown.length;
  const texts = [...shown.map((value) => printable(value)), ...(rest > 0 ? [`… and ${rest} more`] : [])];
  return texts.map((text, i) => row(i === 0 ? name : '', text));
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(15)} ${text}`;
}
