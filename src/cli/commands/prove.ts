import {
  type DifferentInput,
  type DifferentLayer,
  differenceText,
  type ProofReport,
  proveImage,
  readRecord,
} from '../../builder/index.ts';
import { printable } from '../../errors/index.ts';
import { againFlags, againOptions } from '../build/again-flags.ts';
import type { Command, Invocation } from '../command.ts';
import { type OpenStore, withStore } from '../open-store.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [CONTEXT]',
  summary: 'Build an image again from its build record, and say whether it is the same',
  args: { min: 1, max: 2 },
  flags: againFlags,
  run: (invocation) => withStore(invocation.host, (store) => prove(invocation, store)),
};

/** @returns 1 when the image differs */
async function prove(invocation: Invocation, store: OpenStore): Promise<number> {
  const {
    host,
    flags,
    args: [name = '', context = '.'],
  } = invocation;
  const image = store.images.get(name);
  const record = readRecord(store, image, name);
  const report = await proveImage(image, record, againOptions(invocation, store, context));
  const isJson = flags.text('format') === 'json';
  const text = isJson ? JSON.stringify(report) : reportText(report, flags.bool('quiet'));
  host.stdout.write(`${text}\n`);
  return report.isSame ? 0 : 1;
}

function reportText(report: ProofReport, isQuiet: boolean): string {
  const { isSame, imageId, rebuiltId, layers, config, inputs } = report;
  if (isSame) return isQuiet ? 'SAME' : `SAME ${imageId}`;
  if (isQuiet) return 'DIFFERENT';
  const lines = [
    `DIFFERENT ${imageId}, built again as ${rebuiltId}`,
    ...inputs.map(inputText),
    ...layers.flatMap(layerLines),
    ...config.map((field) => `config: ${field} differs`),
  ];
  if (inputs.length === 0 && layers.some(({ createdBy }) => createdBy.startsWith('RUN ')))
    lines.push('"cairn verify" executes the RUN steps in several environments and names the causes');
  return lines.map(printable).join('\n');
}

function inputText({ context, path, attribute }: DifferentInput): string {
  return `input: ${path}${context === '' ? '' : ` of "${context}"`} is not as it was (${attribute})`;
}

const shownDifferences = 20;

function layerLines({ index, createdBy, before, after, differences }: DifferentLayer): readonly string[] {
  const [maker = ''] = createdBy.split('\n');
  const state = before === null ? ' is new' : after === null ? ' is missing' : '';
  const shown = differences.slice(0, shownDifferences).map((difference) => `  ${differenceText(difference)}`);
  const more = differences.length - shown.length;
  return [
    `layer ${index + 1}${state}: ${maker}`,
    ...shown.flatMap((text) => text.split('\n')),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}
