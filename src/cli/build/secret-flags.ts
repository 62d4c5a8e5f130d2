import { resolve } from 'node:path';
import type { SecretSource } from '../../builder/index.ts';
import { UsageError } from '../command.ts';
import { parseKeyValues } from '../flags/index.ts';
import type { Host } from '../host.ts';

type Place = Pick<Host, 'env' | 'cwd'>;

/**
 * `--secret id=x[,src=FILE|,env=VARIABLE][,type=file|env]`: without a source, the variable named like the id, else the file
 * of that name (row K10).
 * @throws {UsageError}
 */
export function secretsOf(values: readonly string[], host: Place): Readonly<Record<string, SecretSource>> {
  return Object.fromEntries(values.map((text) => parseSecret(text, host)));
}

function parseSecret(text: string, { env, cwd }: Place): readonly [id: string, source: SecretSource] {
  const options = secretOptions(text);
  const id = options.get('id') ?? '';
  if (id === '') throw new UsageError(`invalid secret "${text}": it has no id (id=NAME,src=FILE)`);
  const source = options.get('source') ?? options.get('src');
  const isVariable = options.get('type') === 'env';
  const variable = options.get('env') ?? (isVariable ? source : undefined);
  const file = isVariable && options.get('env') === undefined ? undefined : source;
  if (variable) return [id, variableSource(env, variable)];
  if (file) return [id, { kind: 'file', path: resolve(cwd, file) }];
  if (!isVariable && env[id] === undefined) return [id, { kind: 'file', path: resolve(cwd, id) }];
  return [id, variableSource(env, id)];
}

function secretOptions(text: string): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const [key, value] of parseKeyValues(text)) {
    if (!['id', 'src', 'source', 'env', 'type'].includes(key))
      throw new UsageError(`unexpected key "${key}" in secret "${text}": there are id, src, env and type`);
    if (value === undefined)
      throw new UsageError(`invalid field "${key}" in secret "${text}": must be a key=value pair`);
    if (key === 'type' && value !== 'file' && value !== 'env')
      throw new UsageError(`unsupported secret type "${value}": must be "file" or "env"`);
    options.set(key, value);
  }
  return options;
}

function variableSource(env: Host['env'], name: string): SecretSource {
  return { kind: 'bytes', bytes: Buffer.from(env[name] ?? '', 'utf8') };
}

/**
 * `--ssh default` or `--ssh id=SOCKET` or `--ssh id=KEY[,KEY]` (row K11): without a path, the agent of SSH_AUTH_SOCK.
 * @throws {UsageError}
 */
export function sshOf(
  values: readonly string[],
  { env, cwd }: Place,
): Readonly<Record<string, readonly string[]>> {
  const sources = new Map<string, readonly string[]>();
  for (const text of values) {
    const equals = text.indexOf('=');
    const id = (equals < 0 ? text : text.slice(0, equals)) || 'default';
    const paths =
      equals < 0
        ? []
        : text
            .slice(equals + 1)
            .split(',')
            .filter((path) => path !== '');
    if (sources.has(id)) throw new UsageError(`duplicate agent ID "${id}" in --ssh`);
    const found = paths.length > 0 ? paths : [env.SSH_AUTH_SOCK ?? ''];
    if (found.includes(''))
      throw new UsageError(
        'invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set, or name a socket or key',
      );
    sources.set(
      id,
      found.map((path) => resolve(cwd, path)),
    );
  }
  return Object.fromEntries(sources);
}
