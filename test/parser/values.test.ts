import { describe, expect, test } from 'vitest';
import { checkSignal, parsePorts, suggest, type Word } from '../../src/parser/index.ts';
import {
  parseBoolean,
  parseByteSize,
  parseDurationNs,
  parseInteger,
  parseUnsigned,
} from '../../src/parser/numbers.ts';
import { failureOf } from './parse.ts';

const wordOf = (text: string): Word => ({
  text,
  span: {
    file: 'Dockerfile',
    line: 1,
    column: 1,
    length: Math.max(1, text.length),
    endLine: 1,
    source: text,
  },
});

describe('ports of EXPOSE (I22)', () => {
  test.each([
    ['80', ['80/tcp']],
    ['53/udp', ['53/udp']],
    ['80/TCP', ['80/tcp']],
    ['80/', ['80/tcp']],
    ['7000-7002/sctp', ['7000/sctp', '7001/sctp', '7002/sctp']],
    ['80-80', ['80/tcp']],
    ['8080:80', ['80/tcp']],
    ['127.0.0.1:8080:80/udp', ['80/udp']],
    ['[::1]:8080:80', ['80/tcp']],
    ['::1::80', ['80/tcp']],
    ['8000-8010:80', ['80/tcp']],
    ['0', ['0/tcp']],
  ])('%s gives %j', (text, ports) => {
    expect(parsePorts(text, wordOf(text)).ports).toEqual(ports);
  });
  test.each([
    '',
    'a',
    '65536',
    '-1',
    '80-79',
    '80-',
    '80/http',
    '/tcp',
    'x:80',
    '1.2.3:1:80',
    '1-3:5-6',
    '80,81',
  ])('%j is refused', (text) => {
    expect(failureOf(() => parsePorts(text, wordOf(text))).code).toBe('PORT_INVALID');
  });
  test('what the checks want to know is told', () => {
    expect(parsePorts('80/TCP', wordOf('80/TCP'))).toMatchObject({
      hasUpperCaseProtocol: true,
      hasHostPart: false,
    });
    expect(parsePorts('1:2', wordOf('1:2'))).toMatchObject({
      hasUpperCaseProtocol: false,
      hasHostPart: true,
    });
  });
});

describe('STOPSIGNAL (I30)', () => {
  test.each(['SIGTERM', 'term', 'sigkill', '9', '-1', '+15', 'RTMIN+3', 'SIGRTMAX-14', '64'])(
    '%s is a signal',
    (text) => {
      expect(() => checkSignal(text, wordOf(text))).not.toThrow();
    },
  );
  test.each(['', '0', 'SIGFOO', 'RTMIN+16', 'RTMAX-15', '1.5', 'SIG', 'TERM '])('%j is none', (text) => {
    expect(failureOf(() => checkSignal(text, wordOf(text))).code).toBe('SIGNAL_INVALID');
  });
});

describe('durations', () => {
  test.each<[string, bigint | undefined]>([
    ['0', 0n],
    ['1h2m3s', 3_723_000_000_000n],
    ['1.5s', 1_500_000_000n],
    ['.5m', 30_000_000_000n],
    ['1.s', 1_000_000_000n],
    ['-1ms', -1_000_000n],
    ['+3ns', 3n],
    ['1us1µs1μs', 3_000n],
    ['0.0000000001s', 0n],
    ['1', undefined],
    ['', undefined],
    ['s', undefined],
    ['.s', undefined],
    ['1 s', undefined],
    ['1d', undefined],
    ['9999999h', undefined],
  ])('%s', (text, value) => {
    expect(parseDurationNs(text)).toBe(value);
  });
});

describe('numbers', () => {
  test.each<[string, number | undefined]>([
    ['64', 64],
    ['64k', 65_536],
    ['1.5 MiB', 1_572_864],
    ['2gb', 2 * 1024 ** 3],
    ['12b', 12],
    ['1kib', 1024],
    ['k', undefined],
    ['-1', undefined],
    ['1x', undefined],
  ])('the size %s', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });
  test('integers have their limits', () => {
    expect([parseUnsigned('0755', 8), parseUnsigned('8', 8), parseUnsigned('4294967295', 10)]).toEqual([
      0o755,
      undefined,
      4_294_967_295,
    ]);
    expect([parseUnsigned('4294967296', 10), parseUnsigned('-1', 10), parseInteger('-2147483648')]).toEqual([
      undefined,
      undefined,
      -2_147_483_648,
    ]);
    expect([parseInteger('2147483648'), parseInteger('+1'), parseInteger('1e3')]).toEqual([
      undefined,
      1,
      undefined,
    ]);
  });
  test('booleans are Go’s', () => {
    expect(['1', 'T', 'True', '0', 'f', 'FALSE', 'yes', ''].map(parseBoolean)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      undefined,
      undefined,
    ]);
  });
});

describe('suggestions', () => {
  test.each([
    ['RUNN', 'RUN'],
    ['cpoy', 'copy'],
    ['HELTHCHECK', 'HEALTHCHECK'],
    ['FOOBAR', undefined],
    ['RUN', undefined],
  ])('%s is near to %s', (word, near) => {
    expect(suggest(word, ['run', 'copy', 'healthcheck'], true)).toBe(near);
  });
});
