import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CairnError } from '../../src/errors/index.ts';
import { parseDockerfile } from '../../src/parser/index.ts';
import { dumpStructure } from './sexpression.ts';

const fixtures = join(import.meta.dirname, '..', '..', 'fixtures');

describe('a Dockerfile has the structure that BuildKit sees', () => {
  const folder = join(fixtures, 'parser', 'valid');
  test.each(readdirSync(folder))('%s', (name) => {
    const actual = dumpStructure(readFileSync(join(folder, name, 'Dockerfile')));
    expect(actual.trim()).toBe(readFileSync(join(folder, name, 'expected.txt'), 'utf8').trim());
  });
});

describe('what BuildKit refuses is refused', () => {
  const codes: Record<string, string> = {
    empty_dockerfile: 'DOCKERFILE_EMPTY',
    env_no_value: 'ARGUMENT_MISSING',
    only_comments: 'DOCKERFILE_EMPTY',
    'shykes-nested-json': 'JSON_ARRAY_INVALID',
  };
  const folder = join(fixtures, 'parser', 'invalid');
  test.each(readdirSync(folder))('%s', (name) => {
    const parse = (): unknown =>
      parseDockerfile(readFileSync(join(folder, name, 'Dockerfile')), { file: 'Dockerfile' });
    expect(parse).toThrow(CairnError);
    expect(parse).toThrow(expect.objectContaining({ code: codes[name] }));
  });
});

describe('Dockerfiles of official images parse without a warning', () => {
  const folder = join(fixtures, 'realworld');
  const names = readdirSync(folder);
  test('there are 30 of them', () => expect(names).toHaveLength(30));
  test.each(names)('%s', (name) => {
    const dockerfile = parseDockerfile(readFileSync(join(folder, name)), { file: name });
    expect(dockerfile.stages.length).toBeGreaterThan(0);
    expect(dockerfile.warnings).toEqual([]);
  });
});
