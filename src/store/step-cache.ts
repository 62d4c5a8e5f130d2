import * as fs from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { type DiffId, type Digest, digestOf, hexOf, isDigest } from '../oci/index.ts';
import type { StepCache, StepRecord } from './contracts.ts';
import { listIfExists, readIfExists, replaceFile } from './durable-file.ts';
import { isSystemError, withStoreErrors } from './store-error.ts';
import type { StorePaths } from './store-paths.ts';
import type { WorkSession } from './work-session.ts';

const recordVersion = 1;
/** A place's list is cut to its newest keys when it has grown past twice this many lines. */
const keptPerPlace = 100;
/** A record's last use is noted at most this often: a cached build should write nothing. */
const touchIntervalMs = 3_600_000;
const headBytes = 4096;

const digest = v.custom<string>(isDigest, 'not a sha256 digest');
const headSchema = v.object({
  version: v.literal(recordVersion),
  key: digest,
  layer: digest,
  place: v.string(),
  createdAt: v.string(),
  durationMs: v.number(),
  name: v.optional(v.string()),
  reason: v.optional(v.string()),
  inputs: v.optional(v.array(digest)),
});
const componentsSchema = v.record(v.string(), v.string());

/** What a record says without its components. */
export type StepHead = Omit<StepRecord, 'components'>;

/** A record as prune and `system df` list it. */
export interface StepEntry {
  readonly head: StepHead;
  /** When the record was last found by a build (to the hour), in milliseconds since 1970. */
  readonly lastUsedMs: number;
  readonly path: string;
}

/**
 * The cache of build steps: cache/steps/<key hex>, one file for each key, two lines of JSON: what gc needs, then the
 * components (which may be long). cache/places/<hash> lists the keys of one place, oldest first; cache/inputs/<hex> is an input
 * list, shared by the records that name it. All of it may be lost in a power cut, so nothing is synced; what does not parse
 * counts as absent.
 */
export class FileStepCache implements StepCache {
  readonly #paths: StorePaths;
  readonly #session: WorkSession;
  readonly #now: (() => number) | undefined;

  /** @param now - the caller's clock in milliseconds, to note when a record was last of use; not noted without. */
  constructor(paths: StorePaths, session: WorkSession, now?: () => number) {
    this.#paths = paths;
    this.#session = session;
    this.#now = now;
  }

  get(key: Digest): StepRecord | null {
    const record = this.#read(hexOf(key));
    if (record === null || record.key !== key) return null;
    if (!this.#session.lease([record.layer])) return null;
    this.#touch(join(this.#paths.steps, hexOf(key)));
    return record;
  }

  put(record: StepRecord, lists: ReadonlyMap<Digest, () => Uint8Array> = new Map()): void {
    const { components, ...head } = record;
    const lines = [JSON.stringify({ version: recordVersion, ...head }), JSON.stringify(components), ''];
    withStoreErrors(this.#paths.root, () => {
      // A store that an older Cairn has made lacks the folder until now.
      this.#session.open();
      for (const [name, content] of lists) this.#putInputs(name, content);
      const path = join(this.#paths.steps, hexOf(record.key));
      const temporary = this.#session.temporary();
      replaceFile(path, lines.join('\n'), { temporary, mode: 0o644, durable: false });
      this.#noteAtPlace(record);
    });
  }

  recent(place: string, limit: number): readonly StepRecord[] {
    const keys = this.#keysAt(this.#placePath(place));
    const records: StepRecord[] = [];
    for (let i = keys.length - 1; i >= 0 && records.length < limit; i--) {
      const record = this.#read(keys[i] ?? '');
      if (record?.place === place) records.push(record);
    }
    return records;
  }

  inputs(name: Digest): Uint8Array | null {
    return readIfExists(join(this.#paths.inputs, hexOf(name)));
  }

  /** A record to look at: neither leased nor counted as a use. */
  peek(key: Digest): StepRecord | null {
    const record = this.#read(hexOf(key));
    return record?.key === key ? record : null;
  }

  /** Every record that can be read, in the order of the keys. Broken files are left out. */
  entries(): readonly StepEntry[] {
    const result: StepEntry[] = [];
    for (const name of listIfExists(this.#paths.steps)) {
      const path = join(this.#paths.steps, name);
      const head = readStepHead(path);
      const stat = fs.statSync(path, { throwIfNoEntry: false });
      if (head !== null && stat !== undefined && hexOf(head.key) === name)
        result.push({ head, lastUsedMs: stat.mtimeMs, path });
    }
    return result;
  }

  #putInputs(name: Digest, content: () => Uint8Array): void {
    const path = join(this.#paths.inputs, hexOf(name));
    if (fs.existsSync(path)) return;
    replaceFile(path, content(), { temporary: this.#session.temporary(), mode: 0o600, durable: false });
  }

  #read(name: string): StepRecord | null {
    const bytes = readIfExists(join(this.#paths.steps, name));
    if (bytes === null) return null;
    const [first = '', second = ''] = bytes.toString('utf8').split('\n');
    const head = parseHead(first);
    const components = parseJson(componentsSchema, second);
    if (head === null || components === null) return null;
    return { ...head, components };
  }

  #touch(path: string): void {
    const now = this.#now?.();
    if (now === undefined) return;
    try {
      if (now - fs.statSync(path).mtimeMs >= touchIntervalMs) fs.utimesSync(path, now / 1000, now / 1000);
    } catch (error) {
      if (!isSystemError(error, 'ENOENT', 'EACCES', 'EPERM', 'EROFS')) throw error;
    }
  }

  #placePath(place: string): string {
    return join(this.#paths.places, hexOf(digestOf(place)).slice(0, 32));
  }

  #noteAtPlace(record: StepRecord): void {
    const path = this.#placePath(record.place);
    // One short append is atomic on Linux, so concurrent builds of one place interleave by whole lines.
    fs.appendFileSync(path, `${hexOf(record.key)}\n`, { mode: 0o644 });
    const keys = this.#keysAt(path);
    if (keys.length <= 2 * keptPerPlace) return;
    const kept = keys.slice(-keptPerPlace).map((key) => `${key}\n`);
    replaceFile(path, kept.join(''), { temporary: this.#session.temporary(), mode: 0o644, durable: false });
  }

  /** Keys in the order of their latest mention. */
  #keysAt(path: string): readonly string[] {
    const lines = (readIfExists(path)?.toString('latin1') ?? '').split('\n');
    const keys = lines.filter((line) => /^[0-9a-f]{64}$/.test(line));
    return [...new Set(keys.reverse())].reverse();
  }
}

/** The first line of a record's file, or null when it is missing or broken. */
export function readStepHead(path: string): StepHead | null {
  let fd: number;
  try {
    fd = fs.openSync(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return null;
    throw error;
  }
  try {
    const buffer = Buffer.allocUnsafe(headBytes);
    const length = fs.readSync(fd, buffer, 0, headBytes, 0);
    const end = buffer.subarray(0, length).indexOf(0x0a);
    if (end >= 0) return parseHead(buffer.toString('utf8', 0, end));
    // A place may be a long path: only then is the whole file read.
    const [first = '', second] = fs.readFileSync(path, 'utf8').split('\n');
    return second === undefined ? null : parseHead(first);
  } finally {
    fs.closeSync(fd);
  }
}

/** Removes place lists that name no record any more. */
export function sweepPlaces(paths: StorePaths): void {
  for (const name of listIfExists(paths.places)) {
    const path = join(paths.places, name);
    const keys = (readIfExists(path)?.toString('latin1') ?? '').split('\n');
    if (!keys.some((key) => key !== '' && fs.existsSync(join(paths.steps, key))))
      fs.rmSync(path, { force: true });
  }
}

/** Removes input lists that no record names any more. */
export function sweepInputs(paths: StorePaths): void {
  const names = listIfExists(paths.inputs);
  if (names.length === 0) return;
  const named = new Set<string>();
  for (const name of listIfExists(paths.steps))
    for (const digest of readStepHead(join(paths.steps, name))?.inputs ?? []) named.add(hexOf(digest));
  for (const name of names) if (!named.has(name)) fs.rmSync(join(paths.inputs, name), { force: true });
}

function parseHead(line: string): StepHead | null {
  const head = parseJson(headSchema, line);
  if (head === null) return null;
  const { key, layer, place, createdAt, durationMs, name, reason, inputs } = head;
  return {
    key: key as Digest,
    layer: layer as DiffId,
    place,
    createdAt,
    durationMs,
    ...(name === undefined ? {} : { name }),
    ...(reason === undefined ? {} : { reason }),
    ...(inputs === undefined ? {} : { inputs: inputs as Digest[] }),
  };
}

function parseJson<T extends v.GenericSchema>(schema: T, line: string): v.InferOutput<T> | null {
  try {
    const result = v.safeParse(schema, JSON.parse(line));
    return result.success ? result.output : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
