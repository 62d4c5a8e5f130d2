import { rmSync } from 'node:fs';
import { type BuildEvent, type BuildOptions, type BuildResult, build } from '../../builder/index.ts';
import { CairnError, hasCode } from '../../errors/index.ts';
import { canonicalName, type Reference } from '../../oci/index.ts';
import type { Diagnostic } from '../../parser/index.ts';
import type { Invocation } from '../command.ts';
import type { Host } from '../host.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { printError, printWarning } from '../print-error.ts';
import { chooseProgressMode, createProgress, type ProgressMode } from '../progress/index.ts';
import { writeOutputFile } from '../write-output.ts';
import { buildOptions, hostPath } from './build-options.ts';
import { buildSources } from './build-sources.ts';

/** `cairn build`, once its flags are parsed. @returns the exit code */
export function runBuild(invocation: Invocation): Promise<number> {
  return withStore(invocation.host, (store) => buildInto(store, invocation));
}

async function buildInto(store: OpenStore, { host, flags, args: [path = ''] }: Invocation): Promise<number> {
  const quiet = flags.bool('quiet');
  const mode = chooseProgressMode(flags.text('progress'), quiet, host);
  const options = buildOptions(flags, host);
  const iidFile = flags.text('iidfile');
  // A stale file must not pass for this build's result.
  if (iidFile) rmSync(hostPath(host, iidFile), { force: true });
  const sources = await buildSources(host, path, flags.text('file'));
  const result = await buildWithProgress(host, mode, { ...options, ...sources, store });
  if (typeof result === 'number') return result;
  if (iidFile) writeOutputFile(host, iidFile, result.imageId);
  const metadataFile = flags.text('metadata-file');
  if (metadataFile) writeOutputFile(host, metadataFile, metadataOf(store, result, options.tags ?? []));
  if (quiet) host.stdout.write(`${result.imageId}\n`);
  return 0;
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

/** buildx's metadata file: what scripts read are the two digests and the names. */
function metadataOf(store: OpenStore, result: BuildResult, tags: readonly Reference[]): string {
  const { manifestDigest, imageId } = result;
  const document = {
    'containerimage.config.digest': imageId,
    'containerimage.descriptor': {
      mediaType: store.images.get(imageId).manifest.mediaType,
      digest: manifestDigest,
      size: store.blobs.size(manifestDigest),
    },
    'containerimage.digest': manifestDigest,
    ...(tags.length > 0 ? { 'image.name': tags.map(canonicalName).join(',') } : {}),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
