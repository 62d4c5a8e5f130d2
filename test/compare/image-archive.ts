import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { readSlice, readTar, type TarSlice } from './tar.ts';

/** The parts of an image's config that people and runtimes see. Unknown keys are ignored. */
export interface ConfigJson {
  readonly architecture?: string;
  readonly os?: string;
  readonly variant?: string;
  readonly author?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly history?: readonly HistoryJson[];
  readonly rootfs?: { readonly type?: string; readonly diff_ids?: readonly string[] };
}

export interface HistoryJson {
  readonly created_by?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly empty_layer?: boolean;
}

/** An image in an archive that `docker save` or `cairn save` wrote. */
export interface ArchivedImage {
  readonly config: ConfigJson;
  readonly tags: readonly string[];
  /** Uncompressed tars, base first. */
  readonly layers: readonly TarSlice[];
  close(): void;
}

/** Opens the one image of a docker archive; compressed layers are unpacked into a temporary folder first. */
export function openArchive(path: string): ArchivedImage {
  const fd = openSync(path, 'r');
  const opened = [fd];
  let folder: string | undefined;
  const close = () => {
    for (const one of opened) closeSync(one);
    if (folder !== undefined) rmSync(folder, { recursive: true });
  };
  try {
    const members = new Map<string, TarSlice>();
    const links = new Map<string, string>();
    for (const entry of readTar({ fd, offset: 0, size: fstatSync(fd).size })) {
      const name = posix.normalize(entry.name);
      if (entry.type === 'file') members.set(name, entry.content);
      // Older engines write a layer that two images share once, and links to it.
      if (entry.type === 'symlink') links.set(name, posix.join(posix.dirname(name), entry.link));
      if (entry.type === 'hardlink') links.set(name, posix.normalize(entry.link));
    }
    const member = (name: string): TarSlice => {
      const found = members.get(name) ?? members.get(links.get(name) ?? '');
      if (found === undefined) throw new Error(`${path} has no member ${name}`);
      return found;
    };
    const manifests = json(member('manifest.json')) as {
      Config: string;
      RepoTags: string[] | null;
      Layers: string[];
    }[];
    if (manifests.length !== 1) throw new Error(`${path} holds ${manifests.length} images; one is expected`);
    const manifest = manifests[0]!;
    const layers = manifest.Layers.map((name, index) => {
      const slice = member(name);
      const program = decompressor(slice);
      if (program === undefined) return slice;
      folder ??= mkdtempSync(join(tmpdir(), 'compare-'));
      const plain = decompress(slice, program, join(folder, `${index}.tar`));
      opened.push(plain.fd);
      return plain;
    });
    return {
      config: json(member(manifest.Config)) as ConfigJson,
      tags: manifest.RepoTags ?? [],
      layers,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function json(slice: TarSlice): unknown {
  return JSON.parse(readSlice(slice).toString('utf8'));
}

function decompressor(slice: TarSlice): 'gzip' | 'zstd' | undefined {
  const magic = readSlice({ ...slice, size: Math.min(4, slice.size) }).toString('hex');
  if (magic.startsWith('1f8b')) return 'gzip';
  return magic === '28b52ffd' ? 'zstd' : undefined;
}

function decompress(slice: TarSlice, program: string, target: string): TarSlice {
  const out = openSync(target, 'w+');
  const run = spawnSync(program, ['-dc'], { input: readSlice(slice), stdio: ['pipe', out, 'inherit'] });
  if (run.status !== 0) throw new Error(`${program} could not unpack a layer`);
  return { fd: out, offset: 0, size: fstatSync(out).size };
}
