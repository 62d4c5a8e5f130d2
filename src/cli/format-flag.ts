import type { FlagSpec } from './flags/index.ts';

/** `--format` of commands that print a table. */
export const tableFormat: FlagSpec = {
  name: 'format',
  kind: 'string',
  help: "'table' (default), 'table TEMPLATE', 'json', or a Go template applied to each row",
};

/** `-f/--format` of commands that print documents. */
export const documentFormat: FlagSpec = {
  name: 'format',
  short: 'f',
  kind: 'string',
  help: "'json', or a Go template",
};

export const noTruncate: FlagSpec = { name: 'no-trunc', kind: 'bool', help: 'Do not shorten what is long' };
