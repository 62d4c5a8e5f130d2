// Feeds generated text to the parser, the printer, the expander and the checks. Run it with
//   node --import tsx test/fuzz/parser.ts [EXECUTIONS] [SEED]
import { pathToFileURL } from 'node:url';
import { CairnError, renderError } from '../../src/errors/index.ts';
import {
  type Dockerfile,
  expandWords,
  lint,
  parseDockerfile,
  printDockerfile,
} from '../../src/parser/index.ts';
import { generateDockerfile, generateWord } from './generate-dockerfile.ts';
import { Random } from './random.ts';

/** Longer than this for one small text counts as a hang. */
const maxMs = 1000;

/**
 * Runs `executions` texts from a seed. Whatever the text: only a `CairnError` is thrown, with a place inside the text;
 * it renders; and what parses prints to a text that parses to the same.
 * @throws {Error} naming the text of the first that breaks this
 */
export function fuzzParser(executions: number, seed: number): { accepted: number } {
  let accepted = 0;
  for (let run = 0; run < executions; run += 1) {
    const random = new Random(seed + run);
    const text = generateDockerfile(random);
    const word = generateWord(random);
    const started = performance.now();
    try {
      if (checkDockerfile(text)) accepted += 1;
      checkWord(word);
    } catch (error) {
      throw new Error(`seed ${seed + run} fails on ${JSON.stringify(text)} or ${JSON.stringify(word)}`, {
        cause: error,
      });
    }
    if (performance.now() - started > maxMs)
      throw new Error(`seed ${seed + run} takes too long: ${JSON.stringify(text)}`);
  }
  return { accepted };
}

function checkDockerfile(text: string): boolean {
  const dockerfile = parseOrFail(text);
  if (dockerfile === undefined) return false;
  const printed = printDockerfile(dockerfile);
  const again = parseDockerfile(printed, { file: 'Dockerfile' });
  if (meaningOf(again) !== meaningOf(dockerfile))
    throw new Error(`printed differently: ${JSON.stringify(printed)}`);
  orCairnError(() => lint(dockerfile));
  return true;
}

function parseOrFail(text: string): Dockerfile | undefined {
  return orCairnError(
    () => parseDockerfile(text, { file: 'Dockerfile' }),
    ({ at }) => {
      const lines = text.split('\n');
      const line = lines[(at?.line ?? 0) - 1];
      if (at === undefined || line === undefined || at.column > line.length + 1)
        throw new Error('the error has no place in the text');
    },
  );
}

function checkWord(word: string): void {
  orCairnError(() => expandWords(word, (name) => (name === 'a' ? 'x y/z' : undefined)));
}

function orCairnError<T>(action: () => T, check: (error: CairnError) => void = () => {}): T | undefined {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    check(error);
    if (/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(renderError(error)))
      throw new Error('a control character is printed', { cause: error });
    return undefined;
  }
}

/** A Dockerfile without its places. */
export function meaningOf(dockerfile: Dockerfile): string {
  return JSON.stringify({ ...dockerfile, warnings: [] }, (key, value: unknown) => {
    if (key === 'span' || key === 'bodyLine') return undefined;
    return value instanceof CairnError ? value.code : value;
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [executions = '100000', seed = '1'] = process.argv.slice(2);
  const { accepted } = fuzzParser(Number(executions), Number(seed));
  process.stdout.write(`${executions} texts from seed ${seed}, ${accepted} of them Dockerfiles: no fault\n`);
}
