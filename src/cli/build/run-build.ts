import { rmSync } from 'node:fs';
import {
  type BuildEvent,
  type BuildOptions,
  type BuildOutput,
  type BuildResult,
  build,
  type RemoteCache,
} from '../../builder/index.ts';
import { CairnError, hasCode } from '../../errors/index.ts';
import type { Digest, Reference } from '../../oci/index.ts';
import type { Diagnostic } from '../../parser/index.ts';
import { type Invocation, UsageError } from '../command.ts';
import type { Host } from '../host.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { printError, printWarning } from '../print-error.ts';
import { chooseProgressMode, createProgress, type ProgressMode } from '../progress/index.ts';
import { basePuller } from '../registry/base-puller.ts';
import { pushBuilt } from '../registry/push-built.ts';
import { writeOutputFile } from '../write-output.ts';
import { metadataOf } from './build-metadata.ts';
import { buildOptions, hostPath } from './build-options.ts';
import { buildSources } from './build-sources.ts';
import { keepStorage, keepStorageOf } from './keep-storage.ts';
import { lockPathOf } from './lock-path.ts';
import { NormalizeReport } from './normalize-report.ts';
import { outputsOf, type RequestedOutput } from './output-flags.ts';
import { withRemoteCache } from './remote-cache.ts';
import { callOf, runCall } from './run-call.ts';
import { runForecast } from './run-forecast.ts';

/** `cairn build`, once its flags are parsed. @returns the exit code */
export function runBuild(invocation: Invocation): Promise<number> {
  return withStore(invocation.host, (store) => buildInto(store, invocation));
}

function buildInto(store: OpenStore, invocation: Invocation): Promise<number> {
  const { host, flags } = invocation;
  const isQuiet = flags.bool('quiet');
  return withRemoteCache(flags, { host, store, isQuiet }, (cache) => buildWith(store, cache, invocation));
}

async function buildWith(
  store: OpenStore,
  remoteCache: RemoteCache | null,
  { host, flags, args: [path = ''] }: Invocation,
): Promise<number> {
  const quiet = flags.bool('quiet');
  const mode = chooseProgressMode(flags.text('progress'), quiet, host);
  const call = callOf(flags);
  const flagOptions = buildOptions(flags, host);
  if (call !== null) {
    const callSources = await buildSources(host, path, flags.text('file'));
    return runCall(call, { ...flagOptions, ...callSources, store }, host);
  }
  const keptBytes = keepStorageOf(flags, host.env);
  if (flags.bool('dry-run')) {
    const forecastSources = await buildSources(host, path, flags.text('file'));
    const cache = remoteCache && { remoteCache };
    return runForecast(host, { ...flagOptions, ...cache, ...forecastSources, store });
  }
  if (path === '-' || flags.text('file') === '-') {
    const exitCode = await enterIfPossible(host);
    if (exitCode !== null) return exitCode;
  }
  const requested = outputsOf(flags, flagOptions.tags ?? [], host);
  const pull = basePuller(host, store, mode === 'plain' || mode === 'tty');
  const lockPlace = { lockFile: flags.text('lock-file'), file: flags.text('file'), context: path };
  const isLocked = flags.bool('lock') || flags.has('lock-file');
  const options: Omit<BuildOptions, 'context' | 'store'> = {
    ...flagOptions,
    ...(remoteCache && { remoteCache }),
    ...(isLocked && { lock: { path: lockPathOf(host, lockPlace) } }),
    outputs: requested.map(({ output }) => output),
    ...(pull && { pull }),
    refreshBases: flags.bool('pull'),
  };
  const iidFile = flags.text('iidfile');
  if (iidFile && requested.length > 0 && requested.every(({ output }) => isFiles(output)))
    throw new UsageError('local and tar exporters are incompatible with image ID file');
  // A stale file must not pass for this build's result.
  if (iidFile) rmSync(hostPath(host, iidFile), { force: true });
  const sources = await buildSources(host, path, flags.text('file'));
  const noise = flags.bool('explain-normalize') ? new NormalizeReport() : null;
  const built = await buildWithProgress(host, mode, {
    ...options,
    ...sources,
    store,
    ...(noise ? { onEvent: noise.onEvent } : {}),
  });
  if (typeof built === 'number') return built;
  if (noise) host.stderr.write(noise.text());
  const result = {
    ...built,
    ...(await pushRequested(requested, { host, store, tags: options.tags ?? [], isQuiet: quiet })),
  };
  await remoteCache?.export(result.pushed);
  if (iidFile) writeOutputFile(host, iidFile, shownDigest(result));
  const metadataFile = flags.text('metadata-file');
  if (metadataFile) writeOutputFile(host, metadataFile, metadataOf(result, host));
  if (quiet && result.hasImage) host.stdout.write(`${shownDigest(result)}\n`);
  keepStorage(host, store, keptBytes);
  return 0;
}

/**
 * Standard input can be read once only: whether it leads to a RUN must not be found out by a process that cannot execute it.
 * @returns null when this process is to go on
 */
async function enterIfPossible({ enterNamespace }: Host): Promise<number | null> {
  if (enterNamespace === null) return null;
  try {
    return await enterNamespace();
  } catch (error) {
    if (!hasCode(error, 'SANDBOX_UNAVAILABLE')) throw error;
    return null;
  }
}

/** Builds with a display beside it. @returns the exit code when a step failed and all has been said about it */
async function buildWithProgress(
  host: Host,
  mode: ProgressMode,
  options: BuildOptions,
): Promise<BuildResult | number> {
  const progress = await createProgress(mode, host);
  const warnings = new Map<string, Diagnostic>();
  const warn = (diagnostic: Diagnostic): void => {
    const { rule, message, span } = diagnostic;
    warnings.set(`${rule}\0${span.file}:${span.line}:${span.column}\0${message}`, diagnostic);
  };
  let failedStep: unknown;
  const onEvent = (event: BuildEvent): void => {
    if (event.type === 'step-error') failedStep ??= event.error;
    if (event.type === 'warning') warn(event.diagnostic);
    options.onEvent?.(event);
    progress.onEvent(event);
  };
  const showWarnings = (): void => {
    if (mode === 'plain' || mode === 'tty')
      for (const diagnostic of warnings.values()) printWarning(host, diagnostic);
  };
  try {
    const result = await build({ ...options, signal: host.signal, now: host.now, onEvent });
    result.warnings.forEach(warn);
    await progress.finish(false);
    showWarnings();
    return result;
  } catch (error) {
    await progress.finish(!host.signal.aborted);
    showWarnings();
    if (host.signal.aborted || !hasCode(error, 'RUN_FAILED') || error !== failedStep) throw error;
    printError(host, withoutLog(error));
    return error.exitCode;
  }
}

/** The progress display has shown what the step printed: it is not repeated. */
function withoutLog(error: CairnError): CairnError {
  const { code, message, at, help } = error;
  return new CairnError(code, {
    message,
    notes: error.notes.filter((note) => note.at !== undefined),
    exitCode: error.exitCode,
    ...(at ? { at } : {}),
    ...(help ? { help } : {}),
  });
}

/** A list of platforms has no image ID: its own digest stands for it, as in buildx. */
function shownDigest({ images, imageId, manifestDigest }: BuildResult): Digest {
  return images.some((image) => image.manifestDigest === manifestDigest) ? imageId : manifestDigest;
}

function isFiles({ kind }: BuildOutput): boolean {
  return kind === 'local' || kind === 'tar';
}

interface PushInputs {
  readonly host: Host;
  readonly store: OpenStore;
  readonly tags: readonly Reference[];
  readonly isQuiet: boolean;
}

/** Pushes what outputs ask for, under their names or the build's. */
function pushRequested(requested: readonly RequestedOutput[], { host, store, tags, isQuiet }: PushInputs) {
  const pushed = requested.flatMap(({ output, isPushed }) =>
    isPushed && output.kind === 'store' ? [output] : [],
  );
  const names = pushed.flatMap((output) => output.names ?? tags);
  const compression = pushed.map((output) => output.compression).find((each) => each !== undefined);
  return pushBuilt(host, store, names, {
    isQuiet,
    ...(compression === undefined || compression === 'none' ? {} : { compression }),
  });
}
