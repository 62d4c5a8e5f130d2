import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxSpec } from './contracts.ts';
import { hostsFile, resolvConf } from './etc-files.ts';

/** What one command needs on disk, all below `SandboxSpec.scratch`. */
export interface StepFolders {
  readonly upperDir: string;
  readonly workDir: string;
  /** Base layer first; never empty. */
  readonly lowerDirs: readonly string[];
  /** The OCI bundle. */
  readonly bundle: string;
  /** Where the root file system is put together; empty for everyone outside. */
  readonly root: string;
  /** Where a tmpfs for device nodes is mounted for a moment. */
  readonly nodes: string;
  /** A folder for each of the spec's mounts that is put together first, by its number. */
  readonly mounts: string;
  readonly hosts: string;
  readonly resolvConf: string;
  /** What /proc/sys/kernel/random/boot_id shows in a steady sandbox. */
  readonly bootId: string;
  /** The runtime's own records. */
  readonly state: string;
  readonly log: string;
}

/** Any valid number (version 4) that is not zero, which readers take for none. */
const constantBootId = 'ca1ca1ca-1ca1-4ca1-8ca1-ca1ca1ca1ca1';

/** Creates the folders and files of one command. */
export function makeStepFolders(spec: SandboxSpec): StepFolders {
  const at = (name: string): string => join(spec.scratch, name);
  const folders: StepFolders = {
    upperDir: at('upper'),
    workDir: at('work'),
    // Overlay needs a lower directory even where the image has no layer (FROM scratch).
    lowerDirs: spec.lowerDirs.length === 0 ? [at('empty')] : spec.lowerDirs,
    bundle: at('bundle'),
    root: at('bundle/rootfs'),
    nodes: at('nodes'),
    mounts: at('mounts'),
    hosts: at('hosts'),
    resolvConf: at('resolv.conf'),
    bootId: at('boot-id'),
    state: at('state'),
    log: at('runtime.log'),
  };
  for (const folder of [folders.upperDir, folders.workDir, folders.bundle, folders.root, folders.nodes]) {
    mkdirSync(folder, { mode: 0o755 });
  }
  for (const folder of [folders.state, folders.mounts]) mkdirSync(folder, { mode: 0o700 });
  if (spec.lowerDirs.length === 0) makeEmptyRoot(folders.lowerDirs[0]!);
  // The root of an overlay has the attributes of the upper directory. Docker's is always root's, 0755, whatever the
  // image's own entry for `/` says.
  chmodSync(folders.upperDir, 0o755);
  writePublic(folders.hosts, hostsFile(spec.hostname, spec.extraHosts));
  writePublic(folders.resolvConf, resolvConf(spec.network));
  if (spec.steady !== undefined) writePublic(folders.bootId, `${constantBootId}\n`);
  return folders;
}

function makeEmptyRoot(folder: string): void {
  mkdirSync(folder);
  chmodSync(folder, 0o755);
}

function writePublic(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o644);
}
