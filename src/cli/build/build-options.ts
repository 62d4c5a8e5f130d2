import { resolve } from 'node:path';
import { type BuildOptions, namedContextOf, type Timestamp } from '../../builder/index.ts';
import { CairnError } from '../../errors/index.ts';
import {
  hostPlatform,
  type Platform,
  parsePlatform,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../../oci/index.ts';
import type { NetworkMode, SandboxKind } from '../../run/contracts.ts';
import { UsageError } from '../command.ts';
import { unsupported, usageExit } from '../dispatch.ts';
import type { FlagValues } from '../flags/index.ts';
import { parseByteSize } from '../format/human-size.ts';
import type { Host } from '../host.ts';
import { annotationsOf } from './annotation-flags.ts';
import { absentFlags, refusedUnlessOff } from './build-flags.ts';
import { parseLimit } from './parse-limit.ts';
import { secretsOf, sshOf } from './secret-flags.ts';

/** The flags of `build` as the builder takes them; context and Dockerfile are read elsewhere. */
export type OptionsOfFlags = Omit<
  BuildOptions,
  'store' | 'context' | 'dockerfile' | 'onEvent' | 'signal' | 'now'
>;

/**
 * @throws {UsageError} for a value that makes no sense
 * @throws {CairnError} USAGE for a feature that is not there, REFERENCE_INVALID for a tag
 */
export function buildOptions(flags: FlagValues, host: Host): OptionsOfFlags {
  refuseAbsent(flags);
  const platforms = platformsOf(flags, host);
  const network = networkOf(flags.text('network'));
  const sandbox = sandboxOf(flags.text('sandbox') ?? host.env.CAIRN_SANDBOX);
  const timestamp = timestampOf(flags.text('timestamp'));
  const shmSizeBytes = parseByteSize(flags.text('shm-size') ?? '');
  const target = flags.text('target');
  const jobs = flags.int('jobs');
  const visibleCpus = flags.int('visible-cpus');
  if (visibleCpus !== undefined && visibleCpus < 1) throw new UsageError('--visible-cpus must be at least 1');
  if (jobs !== undefined && jobs < 1) throw new UsageError('--jobs must be at least 1');
  return {
    tags: flags.list('tag').map(parseTag),
    buildArgs: buildArgsOf(flags.list('build-arg'), host.env),
    labels: labelsOf(flags.list('label')),
    noCache: flags.bool('no-cache'),
    requireCached: flags.bool('require-cached'),
    noCacheFilter: flags.list('no-cache-filter'),
    extraHosts: flags.list('add-host').map(parseExtraHost),
    allow: flags.list('allow').map(entitlementOf),
    ...(flags.bool('verify') ? { verify: true } : {}),
    normalize: !flags.bool('no-normalize'),
    clock: clockOf(flags.text('clock')),
    limits: flags.list('ulimit').map(parseLimit),
    contextModes: contextModesOf(flags.text('context-modes')),
    secrets: secretsOf(flags.list('secret'), host),
    ssh: sshOf(flags.list('ssh'), host),
    namedContexts: Object.fromEntries(
      flags.list('build-context').map((text) => {
        const { name, source } = namedContextOf(text);
        return [name, source];
      }),
    ),
    hostEnv: host.env,
    ...(host.enterNamespace === null ? {} : { canMount: false }),
    ...(target ? { target } : {}),
    ...(platforms.length > 0 ? { platforms } : {}),
    ...(flags.bool('squash') ? { squash: true } : {}),
    annotations: annotationsOf(flags.list('annotation')),
    ...(network ? { network } : {}),
    ...(sandbox ? { sandbox } : {}),
    ...(timestamp ? { timestamp } : {}),
    ...(shmSizeBytes === null ? {} : { shmSizeBytes }),
    ...(jobs === undefined ? {} : { jobs }),
    ...(visibleCpus === undefined ? {} : { visibleCpus }),
  };
}

/** @throws {UsageError} */
export function entitlementOf(text: string): string {
  if (['network.host', 'security.insecure', 'device'].includes(text)) return text;
  throw new UsageError(`invalid entitlement "${text}": must be "network.host" or "security.insecure"`);
}

const reasons: Readonly<Record<string, string>> = {
  push: 'build, then hand the image on with "cairn save"',
};

function refuseAbsent(flags: FlagValues): void {
  for (const { name, kind } of absentFlags)
    if (kind === 'bool' ? flags.bool(name) : flags.has(name)) throw unsupported(`--${name}`, reasons[name]);
  for (const { name, off } of refusedUnlessOff) {
    const value = flags.text(name);
    if (value !== undefined && !off.includes(value))
      throw unsupported(`--${name}${value === 'true' ? '' : `=${value}`}`);
  }
}

/** `docker buildx build -t BAD .`: invalid tag "BAD": repository name must be lowercase. */
function parseTag(text: string): Reference {
  const reference = parseReference(text);
  if (reference.digest)
    throw new CairnError('REFERENCE_INVALID', {
      message: `invalid tag "${text}": a tag cannot have a digest`,
      exitCode: usageExit,
    });
  return withDefaultTag(reference);
}

type Environment = Host['env'];

/** `NAME=value`; a lone NAME comes from the environment or is left out. SOURCE_DATE_EPOCH always comes from there. */
export function buildArgsOf(values: readonly string[], env: Environment): Readonly<Record<string, string>> {
  const args = new Map<string, string>();
  if (env.SOURCE_DATE_EPOCH) args.set('SOURCE_DATE_EPOCH', env.SOURCE_DATE_EPOCH);
  for (const text of values) {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    const value = equals < 0 ? env[name] : text.slice(equals + 1);
    if (value !== undefined) args.set(name, value);
  }
  return Object.fromEntries(args);
}

/** `name=value`; a lone name has the value "". */
function labelsOf(values: readonly string[]): Readonly<Record<string, string>> {
  const labels = new Map<string, string>();
  for (const text of values) {
    const equals = text.indexOf('=');
    if (equals === 0 || text === '') throw new UsageError(`invalid label "${text}": it has no name`);
    labels.set(equals < 0 ? text : text.slice(0, equals), equals < 0 ? '' : text.slice(equals + 1));
  }
  return Object.fromEntries(labels);
}

/** `host:ip` or `host=ip`, an IPv6 address also in brackets. @throws {UsageError} */
export function parseExtraHost(text: string): readonly [name: string, ip: string] {
  const match = /^([^:=]+)[:=](.+)$/.exec(text);
  const name = match?.[1] ?? '';
  const ip = (match?.[2] ?? '').replace(/^\[(.*)\]$/, '$1');
  if (name === '') throw new UsageError(`bad format for add-host: "${text}" (expected host:ip)`);
  if (ip === 'host-gateway')
    throw unsupported('--add-host with host-gateway', 'RUN uses the network of the host: write 127.0.0.1');
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(ip) && !/^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(ip))
    throw new UsageError(`invalid IP address in add-host: "${ip}"`);
  return [name, ip];
}

/** `--platform a,b`; `local` is this machine's. */
function platformsOf(flags: FlagValues, host: Host): readonly Platform[] {
  const wanted = flags.has('platform')
    ? flags.list('platform')
    : (host.env.DOCKER_DEFAULT_PLATFORM?.split(',') ?? []);
  return wanted
    .filter((text) => text !== '')
    .map((text) => (text === 'local' ? hostPlatform() : parsePlatform(text, hostPlatform())));
}

function networkOf(text: string | undefined): NetworkMode | undefined {
  if (text === undefined || text === 'default' || text === '') return undefined;
  if (text === 'host' || text === 'none') return text;
  throw new UsageError(`network mode "${text}" is not supported: RUN has the host's network, or none`);
}

/** @throws {UsageError} */
export function sandboxOf(text: string | undefined): SandboxKind | undefined {
  if (text === undefined || text === '' || text === 'auto') return undefined;
  if (text === 'crun' || text === 'runc' || text === 'builtin') return text;
  throw new UsageError(`unknown sandbox "${text}": must be "crun", "runc" or "builtin"`);
}

function timestampOf(text: string | undefined): Timestamp | undefined {
  if (text === undefined) return undefined;
  if (text === 'preserve') return { kind: 'preserve' };
  if (/^\d{1,11}$/.test(text)) return { kind: 'epoch', seconds: Number(text) };
  throw new UsageError(`invalid timestamp "${text}": must be seconds since 1970, or "preserve"`);
}

function clockOf(text: string | undefined): 'real' | 'frozen' {
  if (text === undefined || text === 'real') return 'real';
  if (text === 'frozen') return 'frozen';
  throw new UsageError(`invalid clock "${text}": must be "real" or "frozen"`);
}

function contextModesOf(text: string | undefined): 'normal' | 'exact' {
  if (text === undefined || text === 'normal') return 'normal';
  if (text === 'exact') return 'exact';
  throw new UsageError(`invalid context modes "${text}": must be "normal" or "exact"`);
}

/** A path on the command line, absolute. */
export function hostPath(host: Pick<Host, 'cwd'>, path: string): string {
  return resolve(host.cwd, path);
}
