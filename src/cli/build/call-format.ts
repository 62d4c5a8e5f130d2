import type { CheckReport, DockerfileFile } from '../../builder/index.ts';
import { printable, type Span } from '../../errors/index.ts';
import type { Diagnostic, Outline, OutlineMount, Target } from '../../parser/index.ts';
import { alignColumns } from '../format/index.ts';

// The texts and JSON of `--call`, as buildx 0.29 prints them.

const frame = '-'.repeat(20);

/** Text of `--check`. */
export function formatChecks({ diagnostics, file, error }: CheckReport): string {
  const count = diagnostics.length;
  if (count === 0) return error ? '' : 'Check complete, no warnings found.\n';
  const found = count === 1 ? '1 warning has been found!' : `${count} warnings have been found!`;
  const warnings = diagnostics.map((each) => formatWarning(each, file)).join('');
  return `Check complete, ${found}\n${warnings}${error ? '\n' : ''}`;
}

function formatWarning({ rule, url, message, span }: Diagnostic, file: DockerfileFile): string {
  return `\nWARNING: ${rule}${url ? ` - ${url}` : ''}\n${printable(message)}\n${formatSource(file, span)}`;
}

/** Lines around a place, as BuildKit frames them. */
function formatSource({ name, text }: DockerfileFile, span: Span): string {
  const lines = text.split('\n');
  const last = Math.min(span.endLine, lines.length);
  if (span.line > lines.length) return '';
  const { start, end } = widen(span.line, last, lines.length);
  const shown = lines.slice(start - 1, end).map((line, i) => {
    const number = start + i;
    const mark = number >= span.line && number <= last ? '>>>' : '   ';
    return ` ${String(number).padStart(3)} | ${mark} ${printable(line.replace(/\r$/, ''))}\n`;
  });
  return `${printable(name)}:${span.line}\n${frame}\n${shown.join('')}${frame}\n`;
}

/** BuildKit's errdefs.Source.Print: two lines on each side, or one of a longer place; fewer at an end of the file. */
function widen(first: number, last: number, count: number): { readonly start: number; readonly end: number } {
  const pad = first === last ? 4 : 2;
  let [start, end] = [first, last];
  for (let used = 0; used < pad; used++) {
    if (start > 1) {
      start--;
      used++;
    }
    if (end !== count) {
      end++;
      used++;
    }
  }
  return { start, end };
}

/** Text of `--call targets`. */
export function formatTargets(targets: readonly Target[]): string {
  const rows = targets.map(({ name = '', description = '', isDefault }) => {
    const label = name === '' && isDefault ? '(default)' : `${name}${isDefault ? ' (default)' : ''}`;
    return `${label}\t${description}`;
  });
  return `${align(['TARGET\tDESCRIPTION', ...rows], 1)}\n`;
}

/** Text of `--call outline`. */
export function formatOutline({ name, description, args, secrets, ssh }: Outline): string {
  const head = [
    ...(name || description ? [`TARGET:\t${name ?? 'default'}`] : []),
    ...(description ? [`DESCRIPTION:\t${description}`] : []),
  ];
  const argRows = args.map((arg) => `${arg.name}\t${arg.value}\t${arg.description ?? ''}`);
  const tables = [
    head.length > 0 ? align(head, 1) : '',
    argRows.length > 0 ? align(['BUILD ARG\tVALUE\tDESCRIPTION', ...argRows], 3) : '',
    mountTable('SECRET', secrets),
    mountTable('SSH', ssh),
  ];
  return tables.map((table) => (table === '' ? '' : `${table}\n\n`)).join('');
}

function mountTable(title: string, mounts: readonly OutlineMount[]): string {
  if (mounts.length === 0) return '';
  const rows = mounts.map(({ id, required }) => `${id}\t${required ? 'true' : ''}`);
  return align([`${title}\tREQUIRED`, ...rows], 3);
}

function align(rows: readonly string[], padding: number): string {
  return alignColumns(rows.map(printable).join('\n'), { minWidth: 0, padding });
}

/** JSON of `--check`. The place in BuildKit's own build graph (`definition`) is left out. */
export function checksJson({ diagnostics, file, error }: CheckReport): string {
  const warnings = diagnostics.map(({ rule, description, url, message, span }) => ({
    ruleName: rule,
    description,
    ...(url ? { url } : {}),
    detail: message,
    location: location(span),
  }));
  return pretty({
    warnings: warnings.length > 0 ? warnings : null,
    sources: [{ filename: file.name, data: base64(file), language: 'Dockerfile' }],
    ...(error && {
      buildError: { message: error.message, location: error.at ? location(error.at) : {} },
    }),
  });
}

/** JSON of `--call targets`. */
export function targetsJson(targets: readonly Target[], file: DockerfileFile): string {
  return pretty({
    targets: targets.map(({ name, isDefault, description, base, platform, span }) => ({
      ...(name ? { name } : {}),
      ...(isDefault ? { default: true } : {}),
      ...(description ? { description } : {}),
      base,
      ...(platform ? { platform } : {}),
      location: location(span),
    })),
    sources: [base64(file)],
  });
}

/** JSON of `--call outline`. */
export function outlineJson(outline: Outline, file: DockerfileFile): string {
  const { name, description, args, secrets, ssh } = outline;
  const argList = args.map((arg) => ({
    name: arg.name,
    ...(arg.description ? { description: arg.description } : {}),
    ...(arg.value ? { value: arg.value } : {}),
    location: location(arg.span),
  }));
  return pretty({
    ...(name ? { name } : {}),
    ...(description ? { description } : {}),
    ...(argList.length > 0 ? { args: argList } : {}),
    ...mountList('secrets', secrets),
    ...mountList('ssh', ssh),
    sources: [base64(file)],
  });
}

function mountList(key: string, mounts: readonly OutlineMount[]) {
  if (mounts.length === 0) return {};
  return {
    [key]: mounts.map(({ id, required, span }) => ({
      name: id,
      ...(required ? { required } : {}),
      location: location(span),
    })),
  };
}

function location({ line, endLine }: Span) {
  return { ranges: [{ start: { line }, end: { line: endLine } }] };
}

function base64({ text }: DockerfileFile): string {
  return Buffer.from(text).toString('base64');
}

function pretty(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
