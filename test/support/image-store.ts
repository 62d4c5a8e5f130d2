import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { baseImages } from '../compare/base-images.ts';
import { cairnEngine, type Engine, importBases } from '../compare/engine.ts';
import { temporaryFolder } from '../compare/fixture.ts';

/** A store for all tests of one file, removed after the last: `cairn` on it. */
export interface TestStore extends Engine {
  readonly root: string;
}

/** A fresh store for the tests of the calling file. */
export function storeForFile(): TestStore {
  const root = temporaryFolder('cairn-store-');
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  return { ...cairnEngine(root), root };
}

/** Puts busybox and debian:12 (or only those named) into the store. */
export function withBases(store: Engine, ...references: string[]): void {
  importBases(
    store,
    baseImages.filter((base) => references.length === 0 || references.includes(base.reference)),
  );
}

interface Descriptor {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What an image layout holds, read without Cairn's code. */
export interface Layout {
  /** Digests that index.json leads to. */
  readonly referenced: ReadonlySet<string>;
  /** Digests of the files in blobs/. */
  readonly present: ReadonlySet<string>;
  /** Values of org.opencontainers.image.ref.name. */
  readonly names: ReadonlySet<string>;
}

/** Walks index.json, manifests and blobs/. @throws when something referenced is missing or no JSON */
export function readLayout(root: string): Layout {
  const referenced = new Set<string>();
  const names = new Set<string>();
  const read = (digest: string) => {
    const [algorithm, hex] = digest.split(':') as [string, string];
    return JSON.parse(readFileSync(join(root, 'blobs', algorithm, hex), 'utf8')) as {
      manifests?: Descriptor[];
      config?: Descriptor;
      layers?: Descriptor[];
    };
  };
  const visit = (descriptor: Descriptor) => {
    if (referenced.has(descriptor.digest)) return;
    referenced.add(descriptor.digest);
    const document = read(descriptor.digest);
    for (const manifest of document.manifests ?? []) visit(manifest);
    for (const blob of [document.config, ...(document.layers ?? [])]) if (blob) referenced.add(blob.digest);
  };
  const index = JSON.parse(readFileSync(join(root, 'index.json'), 'utf8')) as { manifests: Descriptor[] };
  for (const descriptor of index.manifests) {
    const name = descriptor.annotations?.['org.opencontainers.image.ref.name'];
    if (name !== undefined) names.add(name);
    visit(descriptor);
  }
  const present = new Set(readdirSync(join(root, 'blobs/sha256')).map((hex) => `sha256:${hex}`));
  return { referenced, present, names };
}
