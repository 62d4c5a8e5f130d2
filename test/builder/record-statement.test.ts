import { expect, test } from 'vitest';
import type { BuildRecord } from '../../src/builder/record/build-record.ts';
import { decodeStatement, encodeStatement } from '../../src/builder/record/statement.ts';
import { type DiffId, digestOf } from '../../src/oci/index.ts';
import type { ByteString } from '../../src/sys/index.ts';

const digest = digestOf('x');
const record: BuildRecord = {
  dockerfile: { name: 'Dockerfile', text: 'FROM a\nLABEL resolvedDependencies=""\n' },
  context: { kind: 'dir' },
  target: 't',
  platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
  arguments: { B: '2', A: '1' },
  withheldArguments: ['TOKEN'],
  labels: { resolvedDependencies: '' },
  options: { normalize: false, extraHosts: [['a', '1.2.3.4']] },
  namedContexts: { n: 'dir' },
  images: [
    {
      name: 'a:latest',
      platform: { os: 'linux', architecture: 'amd64' },
      manifestDigest: digest,
      imageId: digest,
    },
  ],
  files: [
    { context: '', path: 'a b%\xff' as ByteString, type: 'file', mode: 0o644, digest },
    { context: 'n', path: 'l' as ByteString, type: 'symlink', mode: 0o777, link: '../x"y' as ByteString },
  ],
  steps: [{ stage: 0, instruction: 1, layer: digest as unknown as DiffId }],
  format: 'f',
};

test('a record is read back as it was written', () => {
  const statement = encodeStatement(record, digest);
  expect(decodeStatement(statement)).toEqual(record);
  expect(JSON.parse(statement)).toMatchObject({
    _type: 'https://in-toto.io/Statement/v1',
    predicateType: 'https://slsa.dev/provenance/v1',
  });
});

test('the order of arguments and labels does not matter to the bytes', () => {
  const other = { ...record, arguments: { A: '1', B: '2' } };
  expect(encodeStatement(other, digest)).toBe(encodeStatement(record, digest));
});

test.each(['', '[]', '{"_type":"x"}'])('"%s" is no record', (text) => {
  expect(() => decodeStatement(text)).toThrow(expect.objectContaining({ code: 'RECORD_INVALID' }));
});
