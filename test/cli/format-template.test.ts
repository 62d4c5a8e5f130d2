import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { applyInspectFormat, parseFormat } from '../../src/cli/format/index.ts';
import { asInterfaces, imageDocument } from '../../src/cli/image/image-document.ts';
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
