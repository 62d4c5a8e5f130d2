import { CairnError } from '../errors/index.ts';
import type { Word } from './instruction.ts';
import { suggest } from './suggest.ts';

const names = [
  ...[
    'HUP',
    'INT',
    'QUIT',
    'ILL',
    'TRAP',
    'ABRT',
    'IOT',
    'BUS',
    'FPE',
    'KILL',
    'USR1',
    'SEGV',
    'USR2',
    'PIPE',
  ],
  ...['ALRM', 'TERM', 'STKFLT', 'CHLD', 'CLD', 'CONT', 'STOP', 'TSTP', 'TTIN', 'TTOU', 'URG', 'XCPU', 'XFSZ'],
  ...['VTALRM', 'PROF', 'WINCH', 'IO', 'POLL', 'PWR', 'SYS', 'RTMIN', 'RTMAX'],
  ...Array.from({ length: 15 }, (_, index) => `RTMIN+${index + 1}`),
  ...Array.from({ length: 14 }, (_, index) => `RTMAX-${index + 1}`),
];

/**
 * Checks the expanded argument of STOPSIGNAL: a name of Linux, with or without SIG, in any case, or a number but 0.
 * The image's config keeps it as written.
 * @throws {CairnError} SIGNAL_INVALID
 */
export function checkSignal(text: string, word: Word): void {
  if (/^[+-]?[0-9]+$/.test(text) && Number(text) !== 0) return;
  const name = text.toUpperCase().replace(/^SIG/, '');
  if (names.includes(name)) return;
  const near = /^[A-Z]{2}/.test(name) ? suggest(name, names) : undefined;
  throw new CairnError('SIGNAL_INVALID', {
    message: `"${text}" is no signal`,
    at: word.span,
    help: near === undefined ? 'write a name such as SIGTERM, or a number' : `did you mean SIG${near}?`,
  });
}
