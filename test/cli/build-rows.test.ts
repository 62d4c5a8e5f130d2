import { chmodSync, chownSync, mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';
import { cairn } from './support/test-host.ts';

// Rows of docs/dockerfile-support.md that are about whole builds and need neither root nor a RUN.

interface Project {
  readonly context: string;
  readonly write: (name: string, text: string) => void;
  /** Builds with these words. */
  readonly build: (...argv: readonly string[]) => ReturnType<typeof cairn>;
  /** `inspect` of the image x. */
  readonly inspect: (format: string) => Promise<string>;
}

function project(dockerfile: string, env: Readonly<Record<string, string>> = {}): Project {
  const cwd = scratchFolder();
  const context = join(cwd, 'context');
  mkdirSync(context);
  const root = join(cwd, 'store');
  const write = (name: string, text: string) => writeFileSync(join(context, name), text);
  write('Dockerfile', dockerfile);
  const build = (...argv: readonly string[]) =>
    cairn({ root, cwd, env }, 'build', '-t', 'x', ...argv, context);
  const inspect = async (format: string) =>
    (await cairn({ root, cwd }, 'image', 'inspect', '-f', format, 'x')).stdout.trim();
  return { context, write, build, inspect };
}

/** How many of the steps were not cached. */
const misses = ({ stderr }: { readonly stderr: string }) => stderr.match(/^#\d+ DONE/gm)?.length ?? 0;

describe('what is in the key of COPY (Z01 to Z05, Z07)', () => {
  const dockerfile = 'FROM scratch\nCOPY *.txt /t/\n';
  /** Steps that are executed after a change; the export is always one more line. */
  async function missesAfter(change: (project: Project) => void): Promise<number> {
    const built = project(dockerfile);
    built.write('a.txt', 'a');
    built.write('b.txt', 'b');
    await built.build();
    const base = misses(await built.build());
    change(built);
    return misses(await built.build()) - base;
  }

  test.each<[string, (project: Project) => void]>([
    ['Z02: another time', ({ context }) => utimesSync(join(context, 'a.txt'), 5, 5)],
    ['Z02: another file of the context', ({ write }) => write('other', '')],
    [
      'Z07: metadata before it',
      ({ write }) => write('Dockerfile', 'FROM scratch\nENV A=1\nCOPY *.txt /t/\n'),
    ],
  ])('%s changes nothing', async (_, change) => {
    expect(await missesAfter(change)).toBe(0);
  });

  test.runIf(process.getuid?.() === 0)('Z03: another owner in the context changes nothing', async () => {
    expect(await missesAfter(({ context }) => chownSync(join(context, 'a.txt'), 12, 13))).toBe(0);
  });

  test.each<[string, (project: Project) => void]>([
    ['Z01: other bytes', ({ write }) => write('a.txt', 'A')],
    ['Z02: another mode', ({ context }) => chmodSync(join(context, 'a.txt'), 0o700)],
    ['Z02, Z05: another name', ({ context }) => renameSync(join(context, 'a.txt'), join(context, 'c.txt'))],
    ['Z05: one more match', ({ write }) => write('c.txt', '')],
    ['Z04: another destination', ({ write }) => write('Dockerfile', 'FROM scratch\nCOPY *.txt /u/\n')],
    ['Z04: an owner', ({ write }) => write('Dockerfile', 'FROM scratch\nCOPY --chown=1 *.txt /t/\n')],
    ['Z04: a mode', ({ write }) => write('Dockerfile', 'FROM scratch\nCOPY --chmod=600 *.txt /t/\n')],
  ])('%s makes it new', async (_, change) => {
    expect(await missesAfter(change)).toBe(1);
  });

  test('Z10: another image under the name of the base makes another image', async () => {
    const { write, build, inspect } = project('FROM scratch\nENV V=1\n');
    await build('-t', 'base');
    write('Dockerfile', 'FROM base\nCOPY Dockerfile /\n');
    await build();
    const first = await inspect('{{.Config.Env}}');
    write('Dockerfile', 'FROM scratch\nENV V=2\n');
    await build('-t', 'base');
    write('Dockerfile', 'FROM base\nCOPY Dockerfile /\n');
    await build();
    expect([first, await inspect('{{.Config.Env}}')].map((env) => /V=\d/.exec(env)?.[0])).toEqual([
      'V=1',
      'V=2',
    ]);
  });
});

describe('arguments', () => {
  test('A10: SBOM arguments are seen by nothing', async () => {
    const { build, inspect } = project(
      'FROM scratch\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nENV A=[$BUILDKIT_SBOM_SCAN_STAGE]\n',
    );
    await build();
    expect(await inspect('{{.Config.Env}}')).toContain('A=[]');
  });

  test('A11: SOURCE_DATE_EPOCH is the time of image and files, from flag, environment or ARG; empty is unset', async () => {
    const argument = project('ARG SOURCE_DATE_EPOCH=7\nFROM scratch\n');
    await argument.build();
    expect(await argument.inspect('{{.Created}}')).toBe('1970-01-01T00:00:07Z');
    await argument.build('--build-arg', 'SOURCE_DATE_EPOCH=8');
    expect(await argument.inspect('{{.Created}}')).toBe('1970-01-01T00:00:08Z');
    const environment = project('FROM scratch\n', { SOURCE_DATE_EPOCH: '9' });
    await environment.build();
    expect(await environment.inspect('{{.Created}}')).toBe('1970-01-01T00:00:09Z');
    await environment.build('--build-arg', 'SOURCE_DATE_EPOCH=');
    expect(await environment.inspect('{{.Created}}')).toBe('1980-01-01T00:00:01Z');
    const broken = await environment.build('--build-arg', 'SOURCE_DATE_EPOCH=yesterday');
    expect(broken.stderr).toContain('error[EPOCH_INVALID]');
  });

  test('A08: TARGETSTAGE is the target as it is named, or "default"', async () => {
    const { build, inspect } = project(
      'FROM scratch\nARG TARGETSTAGE\nENV A=$TARGETSTAGE\nFROM scratch AS last\n',
    );
    await build('--target', '0');
    expect(await inspect('{{.Config.Env}}')).toContain('A=0');
  });

  test('A09: BUILDKIT_SYNTAX chooses the frontend: that of Dockerfiles, or none', async () => {
    const { build } = project('# syntax=example/other\nFROM scratch\n');
    expect((await build()).stderr).toContain('error[SYNTAX_UNSUPPORTED]');
    expect((await build('--build-arg', 'BUILDKIT_SYNTAX=docker/dockerfile:1')).code).toBe(0);
    const other = await build('--build-arg', 'BUILDKIT_SYNTAX=example/other');
    expect(other.stderr).toContain('the frontend "example/other" is not supported');
  });
});

test('C28: --parents keeps the path below the pivot, and needs a literal source to exist', async () => {
  const { build, context, write } = project(
    'FROM scratch\nCOPY --parents a/b/1 /p/\nCOPY --parents a/./b/* /q/\nCOPY --parents **/1 /r/\n',
  );
  mkdirSync(join(context, 'a/b'), { recursive: true });
  write('a/b/1', '');
  write('a/b/2', '');
  const { stdout } = await build('-q', '-o', '-');
  const names = [...stdout.matchAll(/(?:^|\0)([pqr]\/[^\0]*)\0/g)].map((match) => match[1]);
  expect(names).toEqual([
    ...['p/', 'p/a/', 'p/a/b/', 'p/a/b/1'],
    ...['q/', 'q/b/', 'q/b/1', 'q/b/2'],
    ...['r/', 'r/a/', 'r/a/b/', 'r/a/b/1'],
  ]);
  write('Dockerfile', 'FROM scratch\nCOPY --parents a/nosuch /p/\n');
  expect((await build()).stderr).toContain('error[COPY_SOURCE_NOT_FOUND]');
});

test('C35, C36: --checksum is for remote sources only, --keep-git-dir means nothing for others', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const { build, write } = project(`FROM scratch\nADD --checksum=${digest} Dockerfile /\n`);
  expect((await build()).stderr).toMatch(/error\[\w+\]: .*checksum/i);
  write('Dockerfile', 'FROM scratch\nADD --keep-git-dir=true Dockerfile /\n');
  expect((await build()).code).toBe(0);
});

test('L10: oci-mediatypes=false writes the manifest in the types of Docker, with the same image ID', async () => {
  const { build, inspect } = project('FROM scratch\nCOPY Dockerfile /\n');
  const oci = (await build('-q')).stdout;
  expect((await build('-q', '-o', 'type=image,oci-mediatypes=false')).stdout).toBe(oci);
  expect(await inspect('{{.Id}}')).toBe(oci.trim());
});

test('I11, O21: a Dockerfile that wants rights which nobody gave is refused before anything runs', async () => {
  const { build } = project('FROM scratch\nRUN --security=insecure ["/x"]\n');
  expect(await build()).toMatchObject({ code: 1 });
  expect((await build()).stderr).toContain('error[ENTITLEMENT_REQUIRED]');
  expect((await build('--allow', 'nosuch')).code).toBe(2);
});

test('O20: flags of RUN that Cairn has no use for are taken; those of the wrong form are not', async () => {
  const { build } = project('FROM scratch\n');
  expect((await build('--cgroup-parent', 'x', '--memory', '1g', '--cpu-shares', '2')).code).toBe(0);
  expect((await build('--add-host', 'x')).code).toBe(2);
  expect((await build('--shm-size', 'x')).code).toBe(2);
});
