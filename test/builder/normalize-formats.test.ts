import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LayerFile, LayerView, NormalizeRule } from '../../src/builder/normalize/contracts.ts';
import { apkScriptsRule } from '../../src/builder/normalize/rules/apk-scripts.ts';
import { gitIndexRule } from '../../src/builder/normalize/rules/git-index.ts';
import { gitReflogRule } from '../../src/builder/normalize/rules/git-reflog.ts';
import { javaCacertsRule } from '../../src/builder/normalize/rules/java-cacerts.ts';
import { toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { skipBecause, unlessInstalled } from '../support/skip-because.ts';
import { memoryTree } from './memory-tree.ts';

const epoch = 315_532_801;

/** What a rule makes of a file's bytes; null when it leaves them alone. */
function rewritten(rule: NormalizeRule, bytes: Buffer, at = epoch): Buffer | null {
  if (rule.action.kind !== 'rewrite') throw new Error('not a rule that rewrites');
  const file = { type: 'file', path: toBytes('x'), size: bytes.length } as LayerFile;
  const view: LayerView = {
    epoch: at,
    parent: memoryTree([]),
    entry: () => undefined,
    read: (_, limit) => (bytes.length > limit ? null : Buffer.from(bytes)),
    head: (_, length) => Buffer.from(bytes.subarray(0, length)),
    parentText: () => '',
    writtenAt: () => 0,
  };
  const result = rule.action.rewrite(file, view);
  return result === null ? null : Buffer.from(result.bytes);
}

function run(cwd: string, script: string): string {
  const done = spawnSync('sh', ['-euc', script], {
    cwd,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: cwd, GIT_CONFIG_NOSYSTEM: '1' },
  });
  if (done.status !== 0) throw new Error(`${script}: ${done.stderr}`);
  return done.stdout;
}

describe('the index of a git work tree', () => {
  skipBecause(unlessInstalled('git'));

  /** A repository with files in folders and long names, written in that version of the index. */
  function repository(format: 'sha1' | 'sha256', version: number, pause = ''): string {
    const folder = scratchFolder();
    run(
      folder,
      `git init -q --object-format=${format} .
       git config index.version ${version}
       mkdir -p a/b && for i in 1 2 3 4 5 6 7 8 9; do echo $i > a/b/file-$i; echo $i > f$i; done
       ${pause}
       git add . && git update-index --index-version ${version}
       GIT_AUTHOR_DATE="@1000000 +0000" GIT_COMMITTER_DATE="@1000000 +0000" git -c user.name=n -c user.email=e@example.com commit -qm one`,
    );
    return folder;
  }

  test.each([
    ['sha1', 2],
    ['sha1', 4],
    ['sha256', 2],
  ] as const)(
    'has no times of files any more, and git still finds nothing changed (%s, version %i)',
    (format, version) => {
      const results = ['', 'sleep 0.02; touch f1 a/b/file-2'].map((pause) => {
        const folder = repository(format, version, pause);
        const path = join(folder, '.git/index');
        const bytes = rewritten(gitIndexRule, readFileSync(path))!;
        writeFileSync(path, bytes);
        expect(run(folder, 'git status --porcelain')).toBe('');
        run(folder, 'echo changed > f3');
        expect(run(folder, 'git status --porcelain')).toBe(' M f3\n');
        return bytes;
      });
      expect(results[0]).toEqual(results[1]);
      expect(rewritten(gitIndexRule, results[0]!)).toBeNull();
    },
  );

  test('with an untracked cache, or damaged, is left alone', () => {
    const folder = repository('sha1', 2);
    const index = readFileSync(join(folder, '.git/index'));
    for (let at = 0; at < index.length; at += 97) {
      const damaged = Buffer.from(index);
      damaged[at]! ^= 0x55;
      expect(rewritten(gitIndexRule, damaged)).toBeNull();
    }
    run(folder, 'git update-index --force-untracked-cache && git status');
    expect(rewritten(gitIndexRule, readFileSync(join(folder, '.git/index')))).toBeNull();
  });

  test('a log of branches has the epoch for later times, and keeps earlier ones', () => {
    const folder = repository('sha1', 2);
    run(folder, 'git clone -q . clone');
    const logs = join(folder, 'clone/.git/logs');
    const names = readdirSync(logs, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /HEAD$/.test(name),
    );
    expect(names.length).toBeGreaterThan(0);
    const text = rewritten(gitReflogRule, readFileSync(join(logs, 'HEAD')))!.toString();
    expect(text).toMatch(new RegExp(`> ${epoch} [+-]\\d{4}\\tclone: from`));
    writeFileSync(join(logs, 'HEAD'), text);
    expect(run(join(folder, 'clone'), 'git reflog --date=unix')).toContain(`HEAD@{${epoch}}`);
    expect(rewritten(gitReflogRule, readFileSync(join(folder, '.git/logs/HEAD')))).toBeNull();
  });
});

describe("apk's archive of install scripts", () => {
  skipBecause(unlessInstalled('tar'));

  test('has the epoch for later times, and is still a tar', () => {
    const folder = scratchFolder();
    const script = (time: number) =>
      `rm -rf w && mkdir w && for i in 1 2 3; do head -c $((i * 300)) /dev/zero > w/own-$i.post-install; done
       touch -d @${time} w/*; touch -d @5 w/own-2.post-install
       cd w && tar --format=ustar --owner=0 --group=0 --sort=name -cf ../s.tar *`;
    const [first, second] = [1_700_000_000, 1_800_000_000].map((time) => {
      run(folder, script(time));
      return rewritten(apkScriptsRule, readFileSync(join(folder, 's.tar')));
    });
    expect(first).not.toBeNull();
    expect(first).toEqual(second);
    writeFileSync(join(folder, 's.tar'), first!);
    const listing = run(folder, 'TZ=UTC tar --full-time -tvf s.tar').split('\n');
    expect(listing.map((line) => line.split(/\s+/)[3])).toEqual([
      '1980-01-01',
      '1970-01-01',
      '1980-01-01',
      undefined,
    ]);
  });

  test('is left alone when it is no plain tar', () => {
    expect(rewritten(apkScriptsRule, Buffer.alloc(512, 'x'))).toBeNull();
    expect(rewritten(apkScriptsRule, Buffer.alloc(1024))).toBeNull();
    expect(rewritten(apkScriptsRule, Buffer.alloc(100))).toBeNull();
  });
});

describe("Java's store of certificates", () => {
  /** A key store as keytool writes it (JKS, version 2). */
  function keyStore(dateMs: bigint, tag = 2): Buffer {
    const text = (value: string): Buffer => {
      const size = Buffer.alloc(2);
      size.writeUInt16BE(value.length);
      return Buffer.concat([size, Buffer.from(value)]);
    };
    const number = (value: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return bytes;
    };
    const date = Buffer.alloc(8);
    date.writeBigUInt64BE(dateMs);
    const entries = ['one', 'two'].flatMap((alias) => [
      number(tag),
      text(alias),
      date,
      text('X.509'),
      number(3),
      Buffer.from('abc'),
    ]);
    const body = Buffer.concat([number(0xfeedfeed), number(2), number(2), ...entries]);
    return Buffer.concat([body, sum(body)]);
  }

  function sum(body: Buffer): Buffer {
    const password = Buffer.from('changeit', 'utf16le').swap16();
    return createHash('sha1').update(password).update('Mighty Aphrodite').update(body).digest();
  }

  test('has the epoch for later dates, with the checksum that Java wants', () => {
    const bytes = rewritten(javaCacertsRule, keyStore(1_700_000_000_000n));
    expect(bytes).toEqual(keyStore(BigInt(epoch) * 1000n));
  });

  test.each([
    ['has earlier dates', keyStore(5n)],
    ['holds a key', keyStore(1_700_000_000_000n, 1)],
    ['has another password', Buffer.concat([keyStore(1_700_000_000_000n).subarray(0, -1), Buffer.from([0])])],
    ['is cut short', keyStore(1_700_000_000_000n).subarray(0, 30)],
    ['is something else', Buffer.alloc(200, 1)],
  ])('is left alone when it %s', (_, bytes) => {
    expect(rewritten(javaCacertsRule, bytes)).toBeNull();
  });
});
