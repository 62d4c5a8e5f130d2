import { CairnError, type ErrorCode } from '../errors/index.ts';
import { cleanPath } from './clean-path.ts';
import type { Word } from './instruction.ts';
import { parseBoolean, parseByteSize, parseUnsigned } from './numbers.ts';
import { suggest } from './suggest.ts';

interface MountBase {
  /** The flag's value, for messages. */
  readonly word: Word;
}

/** Files of the context, a stage or an image. */
export interface BindMount extends MountBase {
  readonly type: 'bind';
  /** Stage, named context or image; absent for the build context. */
  readonly from?: string;
  /** Path below the source's root; empty for the root itself. */
  readonly source: string;
  /** Relative to WORKDIR, empty for WORKDIR itself; `/` must be refused. */
  readonly target: string;
  /** Without it, writes are allowed and thrown away. */
  readonly readOnly: boolean;
}

/** A directory that outlives the build. */
export interface CacheMount extends MountBase {
  readonly type: 'cache';
  /** As written, or the cleaned target. */
  readonly id: string;
  readonly sharing: 'shared' | 'private' | 'locked';
  /** What a new cache starts with; absent for an empty directory. */
  readonly from?: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** Of the empty directory; 0755, 0 and 0 when absent. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface TmpfsMount extends MountBase {
  readonly type: 'tmpfs';
  readonly target: string;
  /** 0 for no limit of its own. */
  readonly sizeBytes: number;
  readonly readOnly: boolean;
}

export interface SecretMount extends MountBase {
  readonly type: 'secret';
  readonly id: string;
  /** The file; absent when the secret is only wanted as a variable. */
  readonly target?: string;
  /** Name of the variable that holds the secret. */
  readonly env?: string;
  readonly required: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface SshMount extends MountBase {
  readonly type: 'ssh';
  readonly id: string;
  /** The socket; absent for `/run/buildkit/ssh_agent.N`. */
  readonly target?: string;
  readonly required: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** One `RUN --mount`, checked and with its defaults. */
export type MountSpec = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount;

const types = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const;
const sharings = ['shared', 'private', 'locked'] as const;

/** The options under their canonical names, as they are collected. */
interface Options {
  type: MountSpec['type'];
  /** `type` was written so far. */
  hasType: boolean;
  from: string;
  source: string;
  target: string;
  id: string;
  readOnly?: boolean;
  sharing?: CacheMount['sharing'];
  required: boolean;
  sizeBytes: number;
  mode?: number;
  uid?: number;
  gid?: number;
  env?: string;
}

const aliases: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  rw: 'readwrite',
};
const keys = [
  'type',
  'from',
  'source',
  'target',
  'readonly',
  'readwrite',
  'id',
  'sharing',
  'required',
  'size',
  'mode',
  'uid',
  'gid',
  'env',
];

/**
 * What can be said of a mount before its values are expanded: that it is a list of fields, and that `from` has no
 * variable.
 * @throws {CairnError} MOUNT_INVALID, VARIABLE_NOT_ALLOWED
 */
export function checkMount(word: Word): void {
  for (const field of splitFields(word, 'MOUNT_INVALID')) {
    const { key, value } = splitField(field);
    const dollar = value?.indexOf('$') ?? -1;
    if (key !== 'from' || value === undefined || dollar < 0 || dollar === value.length - 1) continue;
    throw new CairnError('VARIABLE_NOT_ALLOWED', {
      message: 'variables are not expanded in the "from" of a mount',
      at: wordOf(word, field).span,
      help: `name the image in a stage of its own: ARG … before the first FROM, "FROM ${value} AS source", then from=source`,
    });
  }
}

/**
 * The stage, named context or image that a mount's files come from, before anything else of it is expanded (`from` has no
 * variables); undefined when it names none.
 */
export function mountFrom(word: Word): string | undefined {
  const named = splitFields(word, 'MOUNT_INVALID')
    .map(splitField)
    .filter(({ key, value }) => key === 'from' && value !== undefined);
  return named.at(-1)?.value || undefined;
}

/**
 * Reads one `--mount`.
 * @param expand - expands the value of each option.
 * @throws {CairnError} MOUNT_INVALID, and what `expand` throws
 */
export function parseMount(word: Word, expand: (value: string) => string): MountSpec {
  const options: Options = {
    type: 'bind',
    from: '',
    source: '',
    target: '',
    id: '',
    required: false,
    sizeBytes: 0,
    hasType: false,
  };
  for (const field of splitFields(word, 'MOUNT_INVALID')) {
    const { key, value } = splitField(field);
    readOption(wordOf(word, field), options, {
      key,
      field,
      value: value === undefined ? undefined : expand(value),
    });
  }
  checkLegality(word, options);
  return toSpec(word, options);
}

/** A field of the flag's value as a word, as far as it stands there as it is. */
function wordOf(word: Word, field: string): Word {
  const { span, text } = word;
  const at = text.indexOf(field);
  const isVerbatim = span.endLine === span.line && span.source.startsWith(text, span.column - 1);
  if (at < 0 || !isVerbatim) return word;
  return { text, span: { ...span, column: span.column + at, length: Math.max(1, field.length) } };
}

function splitField(field: string): { key: string; value: string | undefined } {
  const equals = field.indexOf('=');
  const name = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
  const key = Object.hasOwn(aliases, name) ? aliases[name]! : name;
  return { key, value: equals < 0 ? undefined : field.slice(equals + 1) };
}

/** Options are judged in the order they are written, so `type` has to come before those that depend on it. */
function readOption(
  word: Word,
  options: Options,
  { key, field, value }: { key: string; field: string; value: string | undefined },
): void {
  if (value === undefined && !['readonly', 'readwrite', 'required'].includes(key)) {
    if (!keys.includes(key)) throw unknownOption(word, key, field);
    throw invalid(word, `the mount option "${field}" has no value`, `write ${field}=VALUE`);
  }
  const given = value ?? 'true';
  switch (key) {
    case 'type':
      options.hasType = true;
      options.type = oneOf(word, 'type', { value: given, allowed: types });
      return;
    case 'from':
    case 'source':
    case 'target':
    case 'id':
    case 'env':
      options[key] = given;
      return;
    case 'readonly':
      options.readOnly = booleanOf(word, key, given);
      return;
    case 'readwrite':
      options.readOnly = !booleanOf(word, key, given);
      return;
    case 'required':
      onlyFor(word, options, { key, allowed: ['secret', 'ssh'] });
      options.required = booleanOf(word, key, given);
      return;
    case 'size':
      onlyFor(word, options, { key, allowed: ['tmpfs'] });
      options.sizeBytes = sizeOf(word, given);
      return;
    case 'sharing':
      options.sharing = oneOf(word, 'sharing', { value: given, allowed: sharings });
      return;
    case 'mode':
    case 'uid':
    case 'gid':
      options[key] = numberOf(word, key, given);
      return;
    default:
      throw unknownOption(word, key, field);
  }
}

function checkLegality(word: Word, options: Options): void {
  const { type } = options;
  const hasOwner = type === 'cache' || type === 'secret' || type === 'ssh';
  for (const key of ['mode', 'uid', 'gid'] as const) {
    if (options[key] !== undefined && !hasOwner)
      throw notFor(word, key, { options, allowed: ['cache', 'secret', 'ssh'] });
  }
  if (options.sharing !== undefined && type !== 'cache')
    throw notFor(word, 'sharing', { options, allowed: ['cache'] });
  if (type === 'secret') {
    if (options.from !== '') throw notFor(word, 'from', { options, allowed: ['bind', 'cache'] });
    if (options.source !== '' && options.id !== '') {
      throw invalid(word, 'a secret has either "id" or "source", not both', 'keep "id"');
    }
    if (options.source === '' && options.target === '' && options.id === '') {
      throw invalid(word, 'a secret needs an "id"', 'write --mount=type=secret,id=NAME');
    }
  }
  if (type === 'ssh' && options.source !== '')
    throw notFor(word, 'source', { options, allowed: ['bind', 'cache'] });
}

function toSpec(word: Word, options: Options): MountSpec {
  const { type, from, source, target, id, required, mode, uid = 0, gid = 0, env } = options;
  switch (type) {
    case 'bind':
      return { word, type, ...(from !== '' && { from }), source, target, readOnly: options.readOnly ?? true };
    case 'cache':
      return {
        word,
        type,
        id: id === '' ? cleanPath(target) : id,
        sharing: options.sharing ?? 'shared',
        ...(from !== '' && { from }),
        source,
        target,
        readOnly: options.readOnly ?? false,
        ...(mode !== undefined && { mode }),
        ...(options.uid !== undefined && { uid }),
        ...(options.gid !== undefined && { gid }),
      };
    case 'tmpfs':
      return { word, type, target, sizeBytes: options.sizeBytes, readOnly: options.readOnly ?? false };
    case 'secret': {
      const secretId = source || id || baseName(target);
      const file = target === '' && env === undefined ? `/run/secrets/${baseName(secretId)}` : target;
      return {
        word,
        type,
        id: secretId,
        ...(file !== '' && { target: file }),
        ...(env !== undefined && { env }),
        required,
        mode: mode ?? 0o400,
        uid,
        gid,
      };
    }
    case 'ssh':
      return {
        word,
        type,
        id: id === '' ? 'default' : id,
        ...(target !== '' && { target }),
        required,
        mode: mode ?? 0o600,
        uid,
        gid,
      };
  }
}

/**
 * Splits comma-separated fields; a field in double quotes may hold commas, and `""` for a quote (RFC 4180).
 * @throws {CairnError} `code` when a quote stands alone
 */
export function splitFields(word: Word, code: ErrorCode): string[] {
  const fields: string[] = [];
  const { text } = word;
  for (let at = 0; at <= text.length; at += 1) {
    if (text.charAt(at) === '"') {
      const end = closingQuote(text, at + 1);
      if (end < 0 || (end + 1 < text.length && text.charAt(end + 1) !== ',')) throw badQuote(word, code);
      fields.push(text.slice(at + 1, end).replaceAll('""', '"'));
      at = end + 1;
    } else {
      const comma = text.indexOf(',', at);
      const end = comma < 0 ? text.length : comma;
      const field = text.slice(at, end);
      if (field.includes('"')) throw badQuote(word, code);
      fields.push(field);
      at = end;
    }
  }
  return fields;
}

function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    if (text.charAt(at) !== '"') continue;
    if (text.charAt(at + 1) !== '"') return at;
    at += 1;
  }
  return -1;
}

function badQuote(word: Word, code: ErrorCode): CairnError {
  return new CairnError(code, {
    message: `the quotes in "${word.text}" do not enclose whole fields`,
    at: word.span,
    help: 'quote a field as a whole, and write "" for a quote in it: type=bind,"source=a,b"',
  });
}

function oneOf<T extends string>(
  word: Word,
  key: string,
  { value, allowed }: { value: string; allowed: readonly T[] },
): T {
  const found = allowed.find((one) => one === value.toLowerCase());
  if (found !== undefined) return found;
  const near = suggest(value, allowed);
  throw invalid(
    word,
    `a mount cannot have ${key}=${value}`,
    near === undefined ? `use one of ${allowed.join(', ')}` : `did you mean ${key}=${near}?`,
  );
}

function booleanOf(word: Word, key: string, value: string): boolean {
  const parsed = parseBoolean(value);
  if (parsed === undefined)
    throw invalid(word, `the mount option ${key} is true or false, not "${value}"`, `write ${key}=true`);
  return parsed;
}

function numberOf(word: Word, key: 'mode' | 'uid' | 'gid', value: string): number {
  const parsed = parseUnsigned(value, key === 'mode' ? 8 : 10);
  if (parsed !== undefined) return parsed;
  const kind = key === 'mode' ? 'an octal number such as 0755' : 'a decimal number';
  throw invalid(word, `the mount option ${key} is ${kind}, not "${value}"`, 'names are not looked up here');
}

function sizeOf(word: Word, value: string): number {
  const parsed = parseByteSize(value);
  if (parsed === undefined)
    throw invalid(word, `"${value}" is no size`, 'write bytes, or a number with k, m or g: size=64m');
  return parsed;
}

function onlyFor(
  word: Word,
  options: Options,
  { key, allowed }: { key: string; allowed: readonly MountSpec['type'][] },
): void {
  if (!allowed.includes(options.type)) throw notFor(word, key, { options, allowed });
}

function notFor(
  word: Word,
  key: string,
  { options, allowed }: { options: Options; allowed: readonly MountSpec['type'][] },
): CairnError {
  const { type, hasType } = options;
  const isDefault = !hasType;
  return invalid(
    word,
    `the mount option "${key}" does not go with type=${type}${isDefault ? ' (the default)' : ''}`,
    isDefault
      ? `write type=${allowed.join(' or type=')} before it, or remove the option`
      : `remove it; it is for mounts of type ${allowed.join(', ')}`,
  );
}

function unknownOption(word: Word, key: string, field: string): CairnError {
  const near = suggest(key, [...keys, ...Object.keys(aliases)]);
  return invalid(
    word,
    `"${field}" is not an option of --mount`,
    near === undefined ? `the options are ${keys.join(', ')}` : `did you mean ${near}?`,
  );
}

function invalid(word: Word, message: string, help: string): CairnError {
  return new CairnError('MOUNT_INVALID', { message, at: word.span, help });
}

function baseName(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  return parts.at(-1) ?? (path === '' ? '.' : '/');
}
