import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CairnError, renderError } from '../../src/errors/index.ts';
import {
  checkSignal,
  type Dockerfile,
  expandWord,
  expandWords,
  type Instruction,
  lint,
  parseDockerfile,
  parseMount,
  parsePorts,
  type Word,
} from '../../src/parser/index.ts';

const folder = join(import.meta.dirname, '..', '..', 'fixtures', 'errors');

describe('the message about a faulty Dockerfile is the one that was read and found good', () => {
  test.each(readdirSync(folder))('%s', async (name) => {
    const error = faultOf(readFileSync(join(folder, name, 'Dockerfile')));
    await expect(renderError(error)).toMatchFileSnapshot(join(folder, name, 'expected.txt'));
  });
});

function faultOf(content: Uint8Array): CairnError {
  try {
    const dockerfile = parseDockerfile(content, { file: 'Dockerfile' });
    lint(dockerfile);
    useWords(dockerfile);
  } catch (error) {
    if (error instanceof CairnError) return error;
    throw error;
  }
  throw new Error('the Dockerfile has no fault');
}

/** Does with the words of a Dockerfile what a build does with them. */
function useWords({ stages, directives }: Dockerfile): void {
  const env = new Map<string, string>();
  const lookup = (name: string): string | undefined => env.get(name);
  const expand = (word: Word | string, at?: Word): string =>
    expandWord(word, lookup, { ...directives, ...(at && { at: at.span }) }).text;
  for (const instruction of stages.flatMap((stage) => stage.instructions)) use(instruction);

  function use(instruction: Instruction): void {
    if (instruction.kind === 'env')
      for (const { key, value } of instruction.pairs) env.set(expand(key), expand(value));
    if (instruction.kind === 'label')
      for (const { key, value } of instruction.pairs) [expand(key), expand(value)];
    if (instruction.kind === 'run')
      for (const word of instruction.mounts) parseMount(word, (value) => expand(value, word));
    if (instruction.kind === 'copy')
      for (const word of [...instruction.sources, instruction.destination]) expand(word);
    if (instruction.kind === 'user') expand(instruction.user);
    if (instruction.kind === 'workdir') expand(instruction.path);
    if (instruction.kind === 'stopsignal') checkSignal(expand(instruction.signal), instruction.signal);
    if (instruction.kind !== 'expose') return;
    for (const word of instruction.ports) {
      for (const text of expandWords(word, lookup, directives).words) parsePorts(text, word);
    }
  }
}
