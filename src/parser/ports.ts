import { isIP } from 'node:net';
import { CairnError } from '../errors/index.ts';
import type { Word } from './instruction.ts';

/** One expanded word of EXPOSE. */
export interface PortSpec {
  /** `80/tcp`, one for each port of a range. */
  readonly ports: readonly string[];
  /** The protocol is not in lower case (the check ExposeProtoCasing). */
  readonly hasUpperCaseProtocol: boolean;
  /** It names an address or a host port, which EXPOSE ignores (the check ExposeInvalidFormat). */
  readonly hasHostPart: boolean;
}

/**
 * Reads `port`, `port/protocol`, `first-last/protocol`, each optionally behind `ip:` and `hostPort:`.
 * @param text - one word after expansion.
 * @param word - where it came from.
 * @throws {CairnError} PORT_INVALID
 */
export function parsePorts(text: string, word: Word): PortSpec {
  const parts = text.split(':');
  const container = parts.at(-1)!;
  const hostPort = parts.at(-2) ?? '';
  const address = parts.slice(0, -2).join(':');
  const slash = container.indexOf('/');
  const range = slash < 0 ? container : container.slice(0, slash);
  const protocol = slash < 0 ? '' : container.slice(slash + 1);
  if (range === '') throw invalid(text, word, 'there is no port in it');
  if (!['', 'tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) {
    throw invalid(text, word, `the protocol is tcp, udp or sctp, not "${protocol}"`);
  }
  if (address !== '' && isIP(address.replace(/^\[(.*)\]$/, '$1')) === 0) {
    throw invalid(text, word, `"${address}" is no IP address`);
  }
  const [first, last] = rangeOf(range, text, word);
  if (hostPort !== '') checkHostRange(hostPort, { text, word, size: last - first });
  const suffix = `/${(protocol || 'tcp').toLowerCase()}`;
  return {
    ports: Array.from({ length: last - first + 1 }, (_, index) => `${first + index}${suffix}`),
    hasUpperCaseProtocol: protocol !== protocol.toLowerCase(),
    hasHostPart: address !== '' || hostPort !== '',
  };
}

function checkHostRange(
  hostPort: string,
  { text, word, size }: { text: string; word: Word; size: number },
): void {
  const [first, last] = rangeOf(hostPort, text, word);
  if (size !== 0 && last - first !== size) throw invalid(text, word, 'the two ranges differ in length');
}

function rangeOf(range: string, text: string, word: Word): [number, number] {
  const dash = range.indexOf('-');
  const first = portOf(dash < 0 ? range : range.slice(0, dash), text, word);
  const last = dash < 0 ? first : portOf(range.slice(dash + 1), text, word);
  if (last < first) throw invalid(text, word, 'the range ends before it starts');
  return [first, last];
}

function portOf(port: string, text: string, word: Word): number {
  const value = /^\+?[0-9]+$/.test(port) ? Number(port) : Number.NaN;
  if (value >= 0 && value <= 65_535) return value;
  throw invalid(text, word, `a port is a number from 0 to 65535, not "${port}"`);
}

function invalid(text: string, word: Word, reason: string): CairnError {
  const from = word.text === text ? '' : ` (from ${word.text})`;
  return new CairnError('PORT_INVALID', {
    message: `EXPOSE cannot use "${text}"${from}: ${reason}`,
    at: word.span,
    help: 'write 80, 53/udp or 8000-8010/tcp',
  });
}
