import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import { chainIdOf, formatPlatform } from '../../oci/index.ts';
import type { RunInstruction } from '../../parser/index.ts';
import type { NetworkMode, SandboxMount, SandboxRun, SandboxSpec } from '../../run/contracts.ts';
import { type LayerStore, scanUpper, type Toc } from '../../store/index.ts';
import { cacheFormat, keyOf } from '../cache-key.ts';
import { foreignPlatform } from '../foreign-platform.ts';
import { frozenClockSetup, type StepClock, stepClock } from '../frozen-clock.ts';
import { openRunMounts } from '../mounts/open-run-mounts.ts';
import { type RunMounts, readRunMounts } from '../mounts/run-mounts.ts';
import { namespaceNeeded } from '../namespace-needed.ts';
import { normalizeRun, normalizeVersion } from '../normalize/index.ts';
import type { StageSource } from '../plan.ts';
import type { StepPlace } from '../record/build-trail.ts';
import { RunLog } from '../run-log.ts';
import type { BuildSession } from '../session.ts';
import { type StageState, withLayer, workingDirOf } from '../stage-state.ts';
import { resolveUser } from '../user.ts';
import { noVariation, type RunVariation } from '../verify/run-again.ts';
import { variedClockSetup } from '../verify/varied-clock.ts';
import { isUnknown, runLayerStep, type StepResult } from './layer-step.ts';
import { argvOf } from './metadata.ts';
import type { StepPosition } from './position.ts';
import { type RunSettings, runAccount } from './run-account.ts';

/** The host name that BuildKit gives every RUN, unless a build argument says otherwise (row A09). */
const defaultHostname = 'buildkitsandbox';
/** Build arguments that commands get without a declaration, outside keys and history (row A06). */
const proxyNames = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];

/**
 * RUN: runs the command on the stage's layers in a sandbox and packs what it changed. Always a layer, an empty one when
 * nothing changed (row I13).
 */
export async function executeRun(
  session: BuildSession,
  state: StageState,
  instruction: RunInstruction,
  { position, place, mountSources }: RunPlace,
): Promise<StepResult> {
  const id = position.id as number;
  const mounts = await readRunMounts(session, state, instruction, mountSources);
  const argv = argvOf(state, instruction.command);
  const network = networkOf(session, instruction);
  const environment = environmentOf(session, state, mounts);
  const script = instruction.script ?? null;
  const user = state.config.User ?? '';
  const cwd = workingDirOf(state);
  const base = chainIdOf(state.layers);
  const insecure = instruction.security === 'insecure';
  const hosts = session.options.extraHosts ?? [];
  const { visibleCpus } = session.options;
  const hostname = hostnameOf(session);
  if (session.options.clock === 'frozen') await session.store.layers.prepare(state.layers);
  const clock = isUnknown(state.layers) ? null : stepClock(session, state.layers);
  const inputs = {
    argv,
    environment,
    user,
    cwd,
    network,
    insecure,
    hosts: hosts.map((pair) => [...pair]),
    script: script ? [script.path, script.body] : null,
    ...(mounts.mounts.length > 0 ? { mounts: mounts.key } : {}),
    normalize: session.options.normalize === false ? 0 : normalizeVersion,
    ...(clock === null ? {} : { clock: clock.digest }),
    ...(visibleCpus === undefined ? {} : { visibleCpus }),
    ...(hostname === defaultHostname ? {} : { hostname }),
  };
  const step = {
    position,
    parent: state.layers,
    isByContent: false,
    key: keyOf({
      format: cacheFormat,
      kind: 'run',
      ...inputs,
      base,
      platform: formatPlatform(state.platform),
      epoch: session.epoch,
      keep: session.preserveTimes,
    }),
    account: () => runAccount(session, state, instruction, { argv, mounts, settings: settingsOf(inputs) }),
  };
  const execute = async (variation: RunVariation, into: LayerStore): Promise<Toc> => {
    if (session.options.canMount === false) throw namespaceNeeded(instruction.span);
    const scratch = variation.folder ?? session.store.scratch();
    const open = await openRunMounts(session, mounts.mounts, scratch);
    try {
      const inputs = {
        argv,
        environment: withSecrets(environment, open.env),
        network,
        id,
        scratch,
        mounts: open.mounts,
        clock,
        variation,
        into,
      };
      return await session.runSlot(() => runAndPack(session, state, instruction, inputs));
    } finally {
      open.close();
      // What a command wrote can be large: it does not stay until the build's end.
      rmSync(scratch, { recursive: true, force: true });
    }
  };
  const known = session.knownLayer(place);
  const { layer, outcome } =
    known === null
      ? await runLayerStep(session, step, async () => {
          const { diffId } = await execute(noVariation, session.store.layers);
          return { layer: diffId, reused: false };
        })
      : { layer: known, outcome: { cached: true } };
  session.trail.runDone({
    ...place,
    layer,
    run: instruction,
    argv,
    parent: state.layers,
    again: execute,
  });
  const next = withLayer(state, layer, `${historyText(state, argv)} # buildkit`, session.epoch);
  return { state: next, ...outcome };
}

/** Where a RUN stands, and the stages and images that its mounts name. */
export interface RunPlace {
  readonly position: StepPosition;
  readonly place: StepPlace;
  /** For each mount; undefined for one without `from`. */
  readonly mountSources: readonly (StageSource | undefined)[] | undefined;
}

interface CommandInputs {
  readonly argv: readonly string[];
  readonly environment: readonly string[];
  readonly network: NetworkMode;
  readonly id: number;
  readonly scratch: string;
  readonly mounts: readonly SandboxMount[];
  readonly clock: StepClock;
  readonly variation: RunVariation;
  readonly into: LayerStore;
}

async function runAndPack(
  session: BuildSession,
  state: StageState,
  instruction: RunInstruction,
  inputs: CommandInputs,
): Promise<Toc> {
  const run = await runCommand(session, state, instruction, inputs);
  const parent = session.store.layers.tree(state.layers);
  const epoch = session.preserveTimes ? Number.POSITIVE_INFINITY : session.epoch;
  const entries = scanUpper(run.upperDir, parent, {
    epoch,
    refine: (changes) => {
      if (session.options.normalize === false) return changes;
      const { entries: quiet, applied } = normalizeRun(changes, {
        epoch,
        parent,
        layers: session.store.layers,
      });
      if (applied.length > 0 && inputs.variation === noVariation)
        session.emit({ type: 'step-normalized', id: inputs.id, at: session.now(), applied });
      return quiet;
    },
  });
  return inputs.into.write(entries);
}

async function runCommand(
  session: BuildSession,
  state: StageState,
  instruction: RunInstruction,
  inputs: CommandInputs,
): Promise<SandboxRun> {
  const { store, options, signal } = session;
  await store.layers.fetch(state.layers);
  const tree = store.layers.tree(state.layers);
  const { home, ...user } = resolveUser(store.layers, tree, state.config.User ?? '', instruction.span);
  const lowerDirs = await store.layers.unpacked(state.layers);
  const { scratch, variation } = inputs;
  const isVaried = variation !== noVariation;
  const log = new RunLog(store.root, isVaried ? `${inputs.id}-verify` : `${inputs.id}`);
  // A fully cached build never gets here, and so never loads the sandbox.
  const { openSandbox } = await import('../../run/index.ts');
  const frozen = clockSetup(session, inputs);
  const kind = variation.sandbox ?? options.sandbox;
  const sandbox = await openSandbox({
    ...(kind ? { kind } : {}),
    env: options.hostEnv ?? {},
    tried: store.triedSandboxes,
  });
  try {
    const { done } = sandbox.run({
      lowerDirs,
      scratch,
      argv: inputs.argv,
      env: withHome([...(frozen?.env ?? inputs.environment), ...proxyEnvironment(session, state)], home),
      cwd: workingDirOf(state),
      user,
      hostname: variation.hostname ?? hostnameOf(session),
      network: variation.network ?? inputs.network,
      mounts: [
        ...(instruction.script ? [scriptMount(scratch, instruction.script)] : []),
        ...inputs.mounts,
        ...(frozen === null ? [] : [frozen.mount]),
      ],
      steady: steadinessOf(options, variation),
      ...(options.extraHosts ? { extraHosts: options.extraHosts } : {}),
      ...(options.shmSizeBytes ? { shmSizeBytes: options.shmSizeBytes } : {}),
      ...(options.limits ? { limits: options.limits } : {}),
      ...(instruction.security === 'insecure' ? { privileged: true } : {}),
      stdio: {
        kind: 'pipe',
        onOutput: (stream, chunk) => {
          log.write(chunk);
          if (!isVaried)
            session.emit({ type: 'step-output', id: inputs.id, at: session.now(), stream, chunk });
        },
      },
      signal,
    });
    const run = await done;
    if (run.exitCode !== 0) throw failed(state, instruction, inputs.argv, run, log);
    return run;
  } finally {
    log.close();
  }
}

/** What of the options and flags counts, by the names that people know. */
function settingsOf(inputs: {
  readonly network: string;
  readonly insecure: boolean;
  readonly hosts: readonly (readonly string[])[];
  readonly normalize: number;
  readonly clock?: string;
  readonly visibleCpus?: number;
  readonly hostname?: string;
}): RunSettings {
  const { network, insecure, hosts, normalize, clock, visibleCpus, hostname } = inputs;
  return {
    network,
    security: insecure ? 'insecure' : 'sandbox',
    'add-host': hosts.map((pair) => pair.join(':')).join(', '),
    normalize: normalize === 0 ? 'off' : `rules ${normalize}`,
    clock: clock === undefined ? 'real' : `frozen by ${clock.slice(0, 12)}`,
    cpus: visibleCpus === undefined ? '' : String(visibleCpus),
    'host name': hostname ?? '',
  };
}

/** The clock that the build or a variation asks for. */
function clockSetup(
  session: BuildSession,
  { clock, variation, environment: env }: CommandInputs,
): ReturnType<typeof frozenClockSetup> | null {
  if (variation.clock !== undefined) return variedClockSetup(variation.clock, env);
  return clock === null ? null : frozenClockSetup(clock, { epoch: session.epoch, env });
}

function steadinessOf(
  { visibleCpus }: BuildSession['options'],
  { cpus = visibleCpus, lastPid, umask }: RunVariation,
): NonNullable<SandboxSpec['steady']> {
  return {
    ...(cpus === undefined ? {} : { cpus }),
    ...(lastPid === undefined ? {} : { lastPid }),
    ...(umask === undefined ? {} : { umask }),
  };
}

/** A heredoc script is a file in a folder that is mounted read-only over /dev/pipes (row H09). */
function scriptMount(
  scratch: string,
  script: { readonly path: string; readonly body: string },
): SandboxMount {
  const folder = join(scratch, 'pipes');
  mkdirSync(folder, { mode: 0o755 });
  chmodSync(folder, 0o755);
  const name = script.path.slice(script.path.lastIndexOf('/') + 1);
  writeFileSync(join(folder, name), script.body);
  chmodSync(join(folder, name), 0o755);
  return { kind: 'bind', source: folder, target: '/dev/pipes', readOnly: true };
}

/** Variables of a command: the state's, and the epoch (DESIGN, "RUN environment"). */
function environmentOf(session: BuildSession, state: StageState, mounts: RunMounts): readonly string[] {
  const list = [...state.env].map(([name, value]) => `${name}=${value}`);
  if (mounts.sshAuthSock !== undefined && !state.env.has('SSH_AUTH_SOCK'))
    list.push(`SSH_AUTH_SOCK=${mounts.sshAuthSock}`);
  if (!session.preserveTimes && !state.env.has('SOURCE_DATE_EPOCH'))
    list.push(`SOURCE_DATE_EPOCH=${session.epoch}`);
  return list;
}

/** Each proxy argument under both its names, as BuildKit sets them, unless the stage has the variable already. */
function proxyEnvironment(session: BuildSession, state: StageState): readonly string[] {
  return Object.entries(session.buildArgs).flatMap(([name, value]) => {
    const upper = name.toUpperCase();
    if (!proxyNames.includes(upper) || value === '') return [];
    const missing = [upper, upper.toLowerCase()].filter((each) => !state.env.has(each));
    return missing.map((each) => `${each}=${value}`);
  });
}

/** Secrets replace variables of their names. They are added for the command only, after its key is made. */
function withSecrets(
  environment: readonly string[],
  secrets: ReadonlyMap<string, string>,
): readonly string[] {
  const others = environment.filter((entry) => !secrets.has(entry.slice(0, entry.indexOf('='))));
  return [...others, ...[...secrets].map(([name, value]) => `${name}=${value}`)];
}

function withHome(environment: readonly string[], home: string): readonly string[] {
  return environment.some((entry) => entry.startsWith('HOME='))
    ? environment
    : [...environment, `HOME=${home}`];
}

function hostnameOf({ buildArgs }: BuildSession): string {
  return buildArgs.BUILDKIT_SANDBOX_HOSTNAME || defaultHostname;
}

function networkOf(session: BuildSession, instruction: RunInstruction): NetworkMode {
  if (instruction.network === 'none') return 'none';
  if (instruction.network === 'host') return 'host';
  return session.options.network ?? 'host';
}

/** `RUN |2 A=1 B=2 /bin/sh -c …`: the declared arguments with the values in force (row L12). */
function historyText(state: StageState, argv: readonly string[]): string {
  const args = new Map(state.args.map(({ name, value }) => [name, state.env.get(name) ?? value]));
  const shown = [...args].map(([name, value]) => `${name}=${value}`);
  const prefix = shown.length > 0 ? [`|${shown.length}`, ...shown] : [];
  return `RUN ${[...prefix, ...argv].join(' ')}`;
}

function failed(
  { platform }: StageState,
  instruction: RunInstruction,
  argv: readonly string[],
  run: SandboxRun,
  log: RunLog,
): CairnError {
  const command = argv.join(' ');
  const how =
    run.startError !== undefined
      ? `could not be started: ${run.startError}`
      : run.exitCode > 128
        ? `was ended by signal ${run.exitCode - 128} (exit code ${run.exitCode})`
        : `did not complete successfully: exit code: ${run.exitCode}`;
  const foreign = foreignPlatform(platform);
  if (foreign !== null && run.startError?.endsWith('exec format error'))
    return new CairnError('EXEC_FORMAT', {
      message: `process "${command}" could not be started: this machine cannot run programs for ${foreign}`,
      at: instruction.span,
      help: 'install qemu-user-static, which registers emulators with the kernel (binfmt_misc), or build on such a machine',
    });
  const tail = log.tail();
  return new CairnError('RUN_FAILED', {
    message: `process "${command}" ${how}`,
    at: instruction.span,
    notes: tail === '' ? [] : [{ message: `its last lines of output:\n${tail}` }],
    help: run.startError
      ? 'check that the program exists in the image and is executable; a shell form needs /bin/sh'
      : `the whole output is in ${log.path}`,
  });
}
