import type { FlagKind, FlagSpec } from './flag-spec.ts';

const labels: Readonly<Record<FlagKind, string>> = {
  bool: '',
  string: 'string',
  list: 'list',
  csv: 'strings',
  int: 'int',
  bytes: 'bytes',
};

/** The "Options:" block of `--help`: one entry per flag that has a help text, in the order of their names. */
export function flagHelp(specs: readonly FlagSpec[], columns: number): string {
  const shown = specs
    .filter((spec) => spec.help !== undefined)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((spec) => ({ head: flagHead(spec), text: flagText(spec) }));
  const indent = Math.max(0, ...shown.map(({ head }) => head.length)) + 3;
  return shown
    .map(({ head, text }) => `${head.padEnd(indent)}${wrap(text, indent, columns)}`.trimEnd())
    .join('\n');
}

function flagHead(spec: FlagSpec): string {
  const label = spec.label ?? labels[spec.kind];
  const short = spec.short ? `-${spec.short}, ` : '    ';
  return `  ${short}--${spec.name}${label === '' ? '' : ` ${label}`}`;
}

function flagText(spec: FlagSpec): string {
  if (spec.default === undefined || spec.default === 'false') return spec.help ?? '';
  const shown = spec.kind === 'string' ? `"${spec.default}"` : spec.default;
  return `${spec.help} (default ${shown})`;
}

/** Breaks at blanks; in a narrow window the text starts on a line of its own. */
function wrap(text: string, indent: number, columns: number): string {
  const isNarrow = columns - indent < 24;
  const margin = isNarrow ? 16 : indent;
  const width = Math.max(columns - margin, 20);
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === '' ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  const separator = `\n${' '.repeat(margin)}`;
  return (isNarrow ? separator : '') + lines.join(separator);
}
