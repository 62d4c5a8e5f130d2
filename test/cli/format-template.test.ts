import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { applyInspectFormat, parseFormat } from '../../src/cli/format/index.ts';
import { asInterfaces, imageDocument } from '../../src/cli/image/image-document.ts';
import { marshalJson } from '../../src/cli/template/index.ts';
import { recordedImage } from './support/recorded-image.ts';

interface Recorded {
  readonly template: string;
  readonly output?: string;
  readonly error?: string;
}

// What `docker inspect -f TEMPLATE` of Docker 28.5.2 printed for an image with the same config.
const recorded: readonly Recorded[] = JSON.parse(
  readFileSync(new URL('../../fixtures/cli/format-templates.json', import.meta.url), 'utf8'),
);
const document = imageDocument(recordedImage, { contentBytes: 1984202, manifestBytes: 500 });

function inspect(template: string): string {
  return applyInspectFormat(parseFormat(template), document.typed, asInterfaces(document.raw));
}

describe('templates give what Docker gives', () => {
  test.each(recorded)('$template', ({ template, output, error }) => {
    if (error === undefined) expect(inspect(template)).toBe(output);
    else expect(() => inspect(template)).toThrow(`template parsing error: ${error.trimEnd()}`);
  });
});

/** A small generator of pseudo-random numbers below `limit`, the same for the same seed. */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

test('whatever is written as a template, the answer is text or a template error', () => {
  const pieces = [
    ...[
      '{{',
      '}}',
      '{{-',
      '-}}',
      '{{/*',
      '*/}}',
      ' ',
      '.',
      '$',
      '$x',
      ':=',
      '=',
      '|',
      ',',
      '(',
      ')',
      '"a"',
      '`b`',
      "'c'",
    ],
    ...[
      'if',
      'else',
      'end',
      'range',
      'with',
      'break',
      'nil',
      'true',
      '1',
      '-2.5',
      '0x1',
      '.Id',
      '.Config',
      '.Foo',
      '.Env',
    ],
    ...[
      'index',
      'len',
      'eq',
      'and',
      'or',
      'not',
      'printf',
      'json',
      'join',
      'slice',
      'upper',
      'é',
      '\n',
      '{',
      '}',
      '"',
      '%d',
    ],
  ];
  const random = randomNumbers(1);
  const isTemplateFailure = expect.objectContaining({ name: 'TemplateFailure' });
  for (let round = 0; round < 20_000; round++) {
    const template = Array.from({ length: 1 + random(12) }, () => pieces[random(pieces.length)]).join(
      random(2) ? ' ' : '',
    );
    try {
      expect(typeof inspect(template)).toBe('string');
    } catch (error) {
      expect(error, JSON.stringify(template)).toEqual(isTemplateFailure);
    }
  }
});

test('the printed document has the engine’s keys in the engine’s order', () => {
  const text = marshalJson(document.raw, { indent: 4 });
  const keys = Object.keys(JSON.parse(text));
  expect(keys).toEqual(
    'Id RepoTags RepoDigests Parent Comment Created DockerVersion Author Architecture Os Size GraphDriver RootFS Metadata Descriptor Config'.split(
      ' ',
    ),
  );
  expect(Object.keys(JSON.parse(text).Config)).toEqual(
    'ArgsEscaped Cmd Entrypoint Env ExposedPorts Healthcheck Labels OnBuild Shell StopSignal User Volumes WorkingDir'.split(
      ' ',
    ),
  );
  expect(text).toContain('"Healthcheck": {\n            "Interval": 5000000000,\n            "Test": [');
});
