import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { normalizeRun, rules } from '../../src/builder/normalize/index.ts';
import { normalizeEntries } from '../../src/builder/normalize/normalize-entries.ts';
import type { LayerEntry, LayerStore, Tree } from '../../src/store/contracts.ts';
import { scanUpper } from '../../src/store/index.ts';
import { fsPath, toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { memoryTree } from './memory-tree.ts';

const epoch = 315_532_801;
const epochDay = 3652;
const later = 1_700_000_000;

/** What a command left behind, as a folder, on top of a parent. */
class Upper {
  readonly folder = scratchFolder();
  readonly parent: Tree;
  readonly layers: LayerStore;

  /** @param parent - lines of `memoryTree`. @param texts - contents of files of the parent */
  constructor(parent: readonly string[] = [], texts: Readonly<Record<string, string>> = {}) {
    const tree = memoryTree([...parent, ...Object.keys(texts)]);
    const get: Tree['get'] = (path) => {
      const node = tree.get(path);
      const text = texts[path];
      return node === undefined || text === undefined ? node : { ...node, size: text.length };
    };
    this.parent = { ...tree, get };
    const bytesOf = (node: object): Uint8Array => {
      const path = Object.keys(texts).find((each) => texts[each]?.length === (node as { size: number }).size);
      return Buffer.from(texts[path ?? ''] ?? '');
    };
    this.layers = {
      content: (node: object) => ({ kind: 'bytes', bytes: bytesOf(node) }),
    } as unknown as LayerStore;
  }

  file(path: string, content: string | Uint8Array = 'x', mtime = later): this {
    const at = join(this.folder, path);
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, content);
    chmodSync(at, 0o644);
    utimesSync(at, mtime, mtime);
    return this;
  }

  normalize(at = epoch): {
    readonly paths: string[];
    readonly applied: string[];
    readonly entries: readonly LayerEntry[];
  } {
    let applied: string[] = [];
    const entries = scanUpper(this.folder, this.parent, {
      epoch: at,
      refine: (changes) => {
        const result = normalizeRun(changes, { epoch: at, parent: this.parent, layers: this.layers });
        applied = result.applied.map(({ rule, path }) => `${rule} ${path}`);
        return result.entries;
      },
    });
    return { paths: entries.map((entry) => entry.path), applied, entries };
  }
}

/** The bytes of a file of a result. */
function contentOf(entries: readonly LayerEntry[], path: string): string {
  const entry = entries.find((each) => each.path === path);
  if (entry?.type !== 'file') throw new Error(`${path} is no file`);
  if (entry.source.kind === 'bytes') return Buffer.from(entry.source.bytes).toString('latin1');
  if (entry.source.kind === 'path') return readFileSync(fsPath(entry.source.path), 'latin1');
  throw new Error('a slice');
}

describe('a file that a rule drops', () => {
  test.each([
    ['ldconfig-cache', 'var/cache/ldconfig/aux-cache'],
    ['apt-cache', 'var/cache/apt/pkgcache.bin'],
    ['apt-cache', 'var/cache/apt/srcpkgcache.bin'],
    ['apt-logs', 'var/log/apt/history.log'],
    ['apt-logs', 'var/log/apt/term.log'],
    ['apt-logs', 'var/log/apt/eipp.log.xz'],
    ['dpkg-logs', 'var/log/dpkg.log'],
    ['dpkg-logs', 'var/log/alternatives.log'],
    ['debconf-backups', 'var/cache/debconf/config.dat-old'],
    ['dnf-state', 'var/log/dnf.librepo.log'],
    ['dnf-state', 'var/lib/dnf/history.sqlite-wal'],
    ['dnf-state', 'var/cache/dnf/fedora-0123/repodata/repomd.xml'],
    ['package-logs', 'var/log/pacman.log'],
    ['fontconfig-cache', 'var/cache/fontconfig/0123abcd-le64.cache-7'],
    ['fontconfig-cache', 'root/.cache/fontconfig/0123abcd-le64.cache-8'],
    ['npm-cache', 'root/.npm/_logs/2026-01-01T00_00_00_000Z-debug-0.log'],
    ['npm-cache', 'root/.npm/_cacache/index-v5/ab/cd/ef'],
    ['yarn-cache', 'usr/local/share/.cache/yarn/v6/npm-a-1.0.0/package.json'],
    ['pip-cache', 'root/.cache/pip/http/a/b'],
    ['uv-cache', 'root/.cache/uv/archive-v0/x/y'],
    ['autom4te-cache', 'src/pkg/autom4te.cache/requests'],
    ['wget-hsts', 'root/.wget-hsts'],
    ['gnupg-seed', 'root/.gnupg/random_seed'],
  ])('by %s is no part of the layer: %s', (rule, path) => {
    const { paths, applied } = new Upper().file(path).file('kept').normalize();
    expect(applied.map((line) => line.split(' ')[0])).toContain(rule);
    expect(paths).not.toContain(path);
    expect(paths).toContain('kept');
  });

  test('leaves what the parent has there, without a whiteout and without the folders above', () => {
    const { paths } = new Upper(['var/log/dpkg.log']).file('var/log/dpkg.log').file('etc/own').normalize();
    expect(paths).toEqual(['etc', 'etc/own']);
  });

  test('does not undo a deletion', () => {
    const upper = new Upper(['root/.wget-hsts', 'etc/']);
    const gone = { type: 'whiteout', path: toBytes('root/.wget-hsts') } as const;
    const { parent, layers } = upper;
    expect(normalizeRun([gone], { epoch, parent, layers })).toEqual({ entries: [gone], applied: [] });
  });

  test('keeps folders that the tool did not make for its cache alone', () => {
    const { paths } = new Upper().file('root/.cache/pip/selfcheck/x').normalize();
    expect(paths).toEqual(['root', 'root/.cache']);
  });

  test('is looked for in the homes of accounts, also of those that the command made', () => {
    const passwd = 'app:x:1000:1000::/srv/app:/bin/sh\n';
    const { paths } = new Upper()
      .file('etc/passwd', passwd)
      .file('srv/app/.cache/pip/x')
      .file('srv/other/.cache/pip/x')
      .normalize();
    expect(paths).toContain('srv/other/.cache/pip/x');
    expect(paths).not.toContain('srv/app/.cache/pip/x');
  });

  test('hands its content on to a hard link outside of the cache', () => {
    const upper = new Upper().file('root/.cache/uv/a', 'content');
    mkdirSync(join(upper.folder, 'venv'));
    for (const name of ['one', 'two'])
      linkSync(join(upper.folder, 'root/.cache/uv/a'), join(upper.folder, 'venv', name));
    const { entries } = upper.normalize();
    expect(contentOf(entries, 'venv/one')).toBe('content');
    expect(entries.find(({ path }) => path === 'venv/two')).toEqual({
      type: 'hardlink',
      path: 'venv/two',
      target: 'venv/one',
    });
  });

  test('stays when a link of the layer leads to it', () => {
    const upper = new Upper().file('root/.cache/uv/a').file('venv/x');
    symlinkSync('/root/.cache/uv/a', join(upper.folder, 'venv/a'));
    const { paths, applied } = upper.normalize();
    expect(paths).toContain('root/.cache/uv/a');
    expect(applied).toEqual([]);
  });

  test('is not dropped for its name alone in another folder', () => {
    const paths = [
      'app/var/log/dpkg.log',
      'app/.wget-hsts',
      'var/lib/apt/lists/x_InRelease',
      'var/log/own.log',
      'data/pkgcache.bin',
    ];
    const upper = new Upper();
    for (const path of paths) upper.file(path);
    expect(upper.normalize().applied).toEqual([]);
  });
});

describe('a compiled Python file', () => {
  const pyc = (mtime: number, { magic = 3495, flags = 0 } = {}): Buffer => {
    const bytes = Buffer.alloc(24, 7);
    bytes.writeUInt16LE(magic, 0);
    bytes.writeUInt16LE(0x0a0d, 2);
    bytes.writeUInt32LE(flags, 4);
    bytes.writeUInt32LE(mtime, 8);
    bytes.writeUInt32LE(1, 12);
    return bytes;
  };

  test.each(['app/__pycache__/m.cpython-311.pyc', 'app/__pycache__/m.cpython-311.opt-2.pyc', 'app/m.pyc'])(
    'gets the time that its source has in the layer: %s',
    (path) => {
      const { entries, applied } = new Upper().file('app/m.py').file(path, pyc(later)).normalize();
      expect(applied).toEqual([`python-bytecode ${path}`]);
      expect(contentOf(entries, path)).toBe(pyc(epoch).toString('latin1'));
    },
  );

  test.each([
    ['names another time than its source has', pyc(later - 1)],
    ['is checked by hash', pyc(later, { flags: 3 })],
    ['is no compiled file at all', Buffer.from('print(1)\n'.repeat(4))],
    ['is cut short', pyc(later).subarray(0, 9)],
  ])('stays as it is when it %s', (_, bytes) => {
    const { entries, applied } = new Upper().file('m.py').file('m.pyc', bytes).normalize();
    expect(applied).toEqual([]);
    expect(contentOf(entries, 'm.pyc')).toBe(bytes.toString('latin1'));
  });

  test('stays as it is when its source is as old as it says', () => {
    const old = 300_000_000;
    expect(new Upper().file('m.py', 'x', old).file('m.pyc', pyc(old)).normalize().applied).toEqual([]);
  });

  test('of Python 2 or before 3.7 has the time four bytes earlier', () => {
    for (const magic of [3379, 62211]) {
      const bytes = pyc(0, { magic, flags: later });
      const { entries } = new Upper().file('m.py').file('m.pyc', bytes).normalize();
      expect(contentOf(entries, 'm.pyc')).toBe(pyc(0, { magic, flags: epoch }).toString('latin1'));
    }
  });

  test('stays as it is when times are kept', () => {
    expect(
      new Upper().file('m.py').file('m.pyc', pyc(later)).normalize(Number.POSITIVE_INFINITY).applied,
    ).toEqual([]);
  });
});

describe("the day in an account's line of /etc/shadow", () => {
  const line = (name: string, day: string | number) => `${name}:!:${day}:0:99999:7:::\n`;

  test("becomes the epoch's day, where the command wrote it", () => {
    const { entries, applied } = new Upper()
      .file('etc/shadow', line('root', 20000) + line('bob', epochDay) + line('eve', ''))
      .normalize();
    expect(applied).toEqual(['shadow-dates etc/shadow']);
    expect(contentOf(entries, 'etc/shadow')).toBe(
      line('root', epochDay) + line('bob', epochDay) + line('eve', ''),
    );
  });

  test('stays on lines of the base image', () => {
    const { entries } = new Upper([], { 'etc/shadow': line('root', 20001) })
      .file('etc/shadow', line('root', 20001) + line('bob', 20100))
      .normalize();
    expect(contentOf(entries, 'etc/shadow')).toBe(line('root', 20001) + line('bob', epochDay));
  });

  test('is left out, not zero, for an epoch of zero: zero asks for a new password', () => {
    const { entries } = new Upper().file('etc/shadow', line('root', 20000)).normalize(0);
    expect(contentOf(entries, 'etc/shadow')).toBe(line('root', ''));
  });

  test('also in the copy that the tools keep', () => {
    expect(new Upper().file('etc/shadow-', line('root', 20000)).normalize().applied).toEqual([
      'shadow-dates etc/shadow-',
    ]);
  });
});

describe('a machine id', () => {
  const random = '0123456789abcdef0123456789abcdef\n';

  test('is constant when the package that draws it comes in the same layer', () => {
    const ids = [random, random.replace('0', 'f')].map((id) => {
      const { entries } = new Upper().file('usr/bin/dbus-uuidgen').file('etc/machine-id', id).normalize();
      return contentOf(entries, 'etc/machine-id');
    });
    expect(ids[0]).toMatch(/^[0-9a-f]{32}\n$/);
    expect(ids[1]).toBe(ids[0]);
  });

  test("is kept when it is the user's", () => {
    expect(new Upper().file('etc/machine-id', random).normalize().applied).toEqual([]);
  });
});

describe('the rules', () => {
  test('have names, tools, reasons and paths, each name once', () => {
    const names = rules.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual([...names].sort());
    for (const { tool, reason, paths } of rules) {
      expect(tool).not.toBe('');
      expect(reason.length).toBeGreaterThan(20);
      expect(paths.length).toBeGreaterThan(0);
      for (const path of paths) expect(path).toMatch(/^(?:~\/|\*\*\/)?[^/~]/);
    }
  });

  test('are all in docs/reproducibility.md', () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/reproducibility.md'), 'utf8');
    for (const { name } of rules) expect(text).toContain(`| ${name} `);
  });

  test('give the same again for what they gave', () => {
    const upper = new Upper()
      .file('etc/shadow', 'a:!:20000:0:99999:7:::\n')
      .file('root/.cache/pip/x')
      .file('m.py');
    const { parent, layers } = upper;
    const options = { epoch, parent, layers, homes: [toBytes('root')] };
    const once = normalizeEntries(scanUpper(upper.folder, parent, { epoch }), options);
    expect(normalizeEntries(once.entries, options)).toEqual({ entries: once.entries, applied: [] });
  });
});
