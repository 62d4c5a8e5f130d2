import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';
import { cairn } from './support/test-host.ts';

/** A context with a few kinds of files, a store beside it, and the command in the folder of both. */
function project(dockerfile = 'FROM scratch\nCOPY . /\n') {
  const cwd = scratchFolder();
  const context = join(cwd, 'context');
  mkdirSync(join(context, 'tree/ro'), { recursive: true });
  writeFileSync(join(context, 'Dockerfile'), dockerfile);
  writeFileSync(join(context, 'tree/a'), 'a');
  writeFileSync(join(context, 'tree/ro/b'), 'b');
  symlinkSync('/etc/passwd', join(context, 'tree/link'));
  chmodSync(join(context, 'tree/a'), 0o4755);
  chmodSync(join(context, 'tree/ro'), 0o555);
  writeFileSync(join(context, '.dockerignore'), 'Dockerfile\n.dockerignore\n');
  const run = async (...argv: readonly string[]) => {
    const outcome = await cairn({ root: join(cwd, 'store'), cwd }, 'build', ...argv, context);
    return { ...outcome, at: (path: string) => join(cwd, path) };
  };
  return { cwd, context, run, at: (path: string) => join(cwd, path) };
}

const modeOf = (path: string) => (lstatSync(path).mode & 0o7777).toString(8);
const listTar = (path: string) =>
  spawnSync('tar', ['tvf', path, '--utc', '--numeric-owner'], { encoding: 'utf8' }).stdout;
const readTar = (archive: string, name: string) =>
  spawnSync('tar', ['xOf', archive, name], { encoding: 'utf8' }).stdout;

describe('O01: -o type=local', () => {
  test('writes the files with their modes, links and times, and nothing into the images of the store', async () => {
    const { run, at, cwd } = project();
    const outcome = await run('-q', '-t', 'x', '-o', 'type=local,dest=out');
    expect(outcome).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(at('out/tree/ro/b'), 'utf8')).toBe('b');
    expect([modeOf(at('out/tree/a')), modeOf(at('out/tree/ro'))]).toEqual(['4755', '555']);
    expect(readlinkSync(at('out/tree/link'))).toBe('/etc/passwd');
    expect(lstatSync(at('out/tree/a')).mtimeMs).toBe(315532801000);
    expect(lstatSync(at('out/tree/ro')).mtimeMs).toBe(315532801000);
    expect((await cairn({ root: join(cwd, 'store') }, 'images', '-q')).stdout).toBe('');
  });

  test('replaces what is there, follows no link, and keeps other files unless mode=delete', async () => {
    const { run, at } = project();
    mkdirSync(at('elsewhere'));
    mkdirSync(at('out/tree/a'), { recursive: true });
    symlinkSync(at('elsewhere'), at('out/tree/ro'));
    writeFileSync(at('out/other'), '');
    expect((await run('-q', '-o', 'out')).code).toBe(0);
    expect((await run('-q', '-o', 'out')).code).toBe(0);
    expect(readdirSync(at('elsewhere'))).toEqual([]);
    expect(readFileSync(at('out/tree/a'), 'utf8')).toBe('a');
    expect(readdirSync(at('out')).sort()).toEqual(['other', 'tree']);
    expect((await run('-q', '-o', 'type=local,dest=out,mode=delete')).code).toBe(0);
    expect(readdirSync(at('out'))).toEqual(['tree']);
  });

  test('gives each of several platforms a folder', async () => {
    const { run, at } = project();
    expect((await run('-q', '--platform', 'linux/amd64,linux/arm64', '-o', 'out')).code).toBe(0);
    expect(readdirSync(at('out')).sort()).toEqual(['linux_amd64', 'linux_arm64']);
    const merged = 'type=local,dest=out,platform-split=false';
    const outcome = await run('-q', '--platform', 'linux/amd64,linux/arm64', '-o', merged);
    expect(outcome.stderr).toContain('error[OUTPUT_INVALID]: platform-split=false');
  });

  test('says which file cannot be written', async () => {
    const { run, at } = project();
    writeFileSync(at('file'), '');
    const outcome = await run('-q', '-o', 'file/out');
    expect(outcome).toMatchObject({ code: 1 });
    expect(outcome.stderr).toContain('error[OUTPUT_UNWRITABLE]: cannot write ');
  });
});

describe('O02: -o type=tar', () => {
  test('is a tar of the files, owned by root; "-" is standard output, byte for byte the same', async () => {
    const { run, at } = project();
    expect((await run('-q', '-o', 'type=tar,dest=a.tar')).code).toBe(0);
    const { stdout } = await run('-q', '-o', '-');
    expect(Buffer.byteLength(stdout)).toBe(lstatSync(at('a.tar')).size);
    expect(stdout).toBe(readFileSync(at('a.tar'), 'utf8'));
    expect(listTar(at('a.tar')).replace(/ +/g, ' ')).toBe(
      [
        'drwxr-xr-x 0/0 0 1980-01-01 00:00 tree/',
        '-rwsr-xr-x 0/0 1 1980-01-01 00:00 tree/a',
        'lrwxrwxrwx 0/0 0 1980-01-01 00:00 tree/link -> /etc/passwd',
        'dr-xr-xr-x 0/0 0 1980-01-01 00:00 tree/ro/',
        '-rw-r--r-- 0/0 1 1980-01-01 00:00 tree/ro/b\n',
      ].join('\n'),
    );
  });

  test('does not go to a terminal, and leaves no half file behind', async () => {
    const { context, cwd, run, at } = project();
    const host = { root: join(cwd, 'store'), cwd, terminals: ['stdout'] as const };
    const outcome = await cairn(host, 'build', '-o', '-', context);
    expect(outcome.stderr).toContain('refusing to write to console');
    expect((await run('-o', 'type=tar,dest=nosuch/a.tar')).stderr).toContain('OUTPUT_UNWRITABLE');
    expect(existsSync(at('nosuch'))).toBe(false);
  });
});

interface LayoutIndex {
  readonly manifests: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
}

const indexOf = (archive: string): LayoutIndex => JSON.parse(readTar(archive, 'index.json'));
const blobOf = (archive: string, digest: string) =>
  JSON.parse(readTar(archive, `blobs/sha256/${digest.slice(7)}`));

describe('O03, O04, O06, O07, O08: images as files', () => {
  test('O03: type=oci is an image layout as a tar, named as BuildKit names it', async () => {
    const { run, at } = project();
    expect((await run('-q', '-t', 'app:1', '-o', 'type=oci,dest=a.tar')).code).toBe(0);
    const [entry] = indexOf(at('a.tar')).manifests;
    expect(entry?.annotations).toEqual({
      'io.containerd.image.name': 'docker.io/library/app:1',
      'org.opencontainers.image.created': '1980-01-01T00:00:01Z',
      'org.opencontainers.image.ref.name': '1',
    });
    const manifest = blobOf(at('a.tar'), entry?.digest ?? '');
    expect(manifest.layers[0].mediaType).toBe('application/vnd.oci.image.layer.v1.tar');
  });

  test('O03: tar=false writes a folder and keeps the other images of the layout there', async () => {
    const { run, at } = project();
    for (const name of ['app:1', 'app:2', 'app:2'])
      expect((await run('-q', '-o', `type=oci,tar=false,dest=layout,name=${name}`)).code).toBe(0);
    const { manifests } = JSON.parse(readFileSync(at('layout/index.json'), 'utf8')) as LayoutIndex;
    const names = manifests.map(({ annotations }) => annotations?.['org.opencontainers.image.ref.name']);
    expect(names).toEqual(['1', '2']);
    expect(readFileSync(at('layout/oci-layout'), 'utf8')).toBe('{"imageLayoutVersion":"1.0.0"}');
  });

  test('O04: type=docker with a file is what docker load reads, without one the store', async () => {
    const { run, at, cwd } = project();
    const names = '"name=app:1,other:2"';
    expect((await run('-q', '-o', `type=docker,dest=d.tar,${names}`)).code).toBe(0);
    expect(JSON.parse(readTar(at('d.tar'), 'manifest.json'))[0].RepoTags).toEqual(['app:1', 'other:2']);
    expect((await run('-q', '-t', 'kept', '-o', 'type=docker')).code).toBe(0);
    expect((await cairn({ root: join(cwd, 'store') }, 'images', '-q', 'kept')).stdout).not.toBe('');
    const list = await run('-q', '--platform', 'linux/amd64,linux/arm64', '-o', 'type=docker,dest=d.tar');
    expect(list.stderr).toContain('error[OUTPUT_INVALID]: a Docker archive holds images of one platform');
  });

  test.each([
    ['gzip', 'application/vnd.oci.image.layer.v1.tar+gzip'],
    ['zstd', 'application/vnd.oci.image.layer.v1.tar+zstd'],
    ['uncompressed', 'application/vnd.oci.image.layer.v1.tar'],
  ])('O06: compression=%s gives layers of type %s and the same image ID', async (compression, type) => {
    const { run, at } = project();
    const options = `type=oci,dest=a.tar,compression=${compression},force-compression=true`;
    const first = await run('-q', '-o', options);
    const [entry] = indexOf(at('a.tar')).manifests;
    const manifest = blobOf(at('a.tar'), entry?.digest ?? '');
    expect(manifest.layers.map((layer: { mediaType: string }) => layer.mediaType)).toEqual([type]);
    expect(first.stdout).toBe((await run('-q')).stdout);
    expect(first.stdout.trim()).toBe(manifest.config.digest);
  });

  test.each([
    ['compression=estargz', 'compression=estargz is not supported'],
    ['compression=gzip,compression-level=3', 'the level of compression is fixed'],
    ['compression=br', 'unsupported layer compression type "br"'],
    ['compression=zstd,oci-mediatypes=false', "Docker's media types have no zstd layers"],
  ])('O06: %s is refused, since its bytes would not be the same everywhere', async (options, message) => {
    const outcome = await project().run('-q', '-o', `type=oci,dest=a.tar,${options}`);
    expect(outcome.stderr).toContain(`error[OUTPUT_INVALID]: `);
    expect(outcome.stderr).toContain(message);
  });

  test('O07: annotations stand where their prefix says', async () => {
    const { run, at } = project();
    const annotations = ['a=1', 'manifest:b=2', 'manifest-descriptor:c=3', 'manifest[linux/arm64]:d=4'];
    const flags = annotations.flatMap((text) => ['--annotation', text]);
    expect((await run('-q', ...flags, '-o', 'type=oci,dest=a.tar,annotation.e=5')).code).toBe(0);
    const [entry] = indexOf(at('a.tar')).manifests;
    expect(entry?.annotations).toMatchObject({ c: '3' });
    expect(blobOf(at('a.tar'), entry?.digest ?? '').annotations).toEqual({ a: '1', b: '2', e: '5' });
  });

  test('O07: annotations of a list of platforms, of its descriptor and of one platform', async () => {
    const { run, at } = project();
    const annotations = ['index:a=1', 'index-descriptor:b=2', 'manifest[linux/arm64]:c=3'];
    const flags = annotations.flatMap((text) => ['--annotation', text]);
    const platforms = ['--platform', 'linux/amd64,linux/arm64'];
    expect((await run('-q', ...platforms, ...flags, '-o', 'type=oci,dest=a.tar')).code).toBe(0);
    const [entry] = indexOf(at('a.tar')).manifests;
    expect(entry?.annotations).toMatchObject({ b: '2' });
    const index = blobOf(at('a.tar'), entry?.digest ?? '');
    expect(index.annotations).toEqual({ a: '1' });
    const manifests = index.manifests.map(({ digest }: { digest: string }) => blobOf(at('a.tar'), digest));
    expect(manifests.map(({ annotations: each }: LayoutIndex['manifests'][0]) => each)).toEqual([
      undefined,
      { c: '3' },
    ]);
    expect((await run('-q', '--annotation', 'index:a=1')).stderr).toContain('error[ANNOTATION_INVALID]');
  });

  test('O08, O09: several outputs at once, with --load one more in the store', async () => {
    const { run, at, cwd } = project();
    const outputs = ['-o', 'out', '-o', 'type=tar,dest=a.tar', '-o', 'type=oci,dest=b.tar'];
    expect((await run('-q', ...outputs, '--load', '-t', 'x')).code).toBe(0);
    expect([at('out/tree/a'), at('a.tar'), at('b.tar')].map(existsSync)).toEqual([true, true, true]);
    expect((await cairn({ root: join(cwd, 'store') }, 'images', '-q', 'x')).stdout).not.toBe('');
    expect((await run('-q', '-o', '-', '-o', 'type=oci')).stderr).toContain('only one output can go to');
  });

  test('O09: --push needs a name', async () => {
    expect((await project().run('--push')).stderr).toContain('tag is needed when pushing to registry');
  });
});

test.each([
  ['foo,bar', 'invalid value foo'],
  ['dest=x', 'type is required for output'],
  ['type=local', 'dest is required for local exporter'],
  ['type=local,dest=-', 'dest cannot be stdout for local exporter'],
  ['type=local,dest=x,mode=move', 'invalid mode "move"'],
  ['type=local,dest=x,mod=copy', 'there is no option "mod" for this type\nhelp: did you mean "mode"?'],
  ['type=local,dest=.,mode=delete', 'mode=delete would remove the current folder'],
  ['type=local,dest=/,mode=delete', 'mode=delete would remove the current folder'],
  ['type=local,dest=store,mode=delete', 'mode=delete would remove the store'],
  ['type=oci,tar=false', 'dest is required for oci exporter with tar=false'],
  ['type=oci,dest=a,tar=maybe', 'non-bool value "maybe" for tar'],
  ['type=image,name=BAD', 'repository name (library/BAD) must be lowercase'],
  ['', 'the value is empty'],
])('O01 to O05: the output "%s" is refused: %s', async (output, message) => {
  const outcome = await project().run('-o', output);
  expect(outcome.code).not.toBe(0);
  expect(outcome.stderr).toContain(message);
});

describe('O05, O12, O19: lists of platforms', () => {
  test('O19: several platforms make a list; its name finds the image of a platform', async () => {
    const { run, at, cwd } = project('FROM scratch\nARG TARGETPLATFORM\nENV P=$TARGETPLATFORM\nCOPY . /\n');
    const platforms = ['--platform', 'linux/amd64,linux/riscv64', '--platform', 'linux/amd64'];
    const outcome = await run('-q', ...platforms, '-t', 'm', '--iidfile', 'iid', '--metadata-file', 'meta');
    const metadata = JSON.parse(readFileSync(at('meta'), 'utf8'));
    expect(metadata['containerimage.config.digest']).toBe(undefined);
    expect(metadata['containerimage.descriptor'].mediaType).toContain('image.index');
    expect(readFileSync(at('iid'), 'utf8')).toBe(metadata['containerimage.digest']);
    expect(outcome.stdout).toBe(`${metadata['containerimage.digest']}\n`);
    const store = { root: join(cwd, 'store') };
    for (const [name, ...flags] of [
      ['linux/amd64', '--platform', 'linux/amd64'],
      ['linux/riscv64', '--platform', 'linux/riscv64'],
    ] as const) {
      const shown = await cairn(store, 'image', 'inspect', ...flags, '-f', '{{.Config.Env}}', 'm');
      expect(shown.stdout).toContain(`P=${name}]`);
    }
    expect((await cairn(store, 'image', 'inspect', '--platform', 'linux/s390x', 'm')).code).toBe(1);
    await cairn(store, 'tag', 'm', 'again');
    await cairn(store, 'rmi', 'm');
    const again = await cairn(store, 'history', '-q', '--platform', 'linux/riscv64', 'again');
    expect(again.code).toBe(0);
    expect((await cairn(store, 'fsck')).stdout).not.toContain('[');
  });

  test('A09: BUILDKIT_MULTI_PLATFORM=1 makes a list of one', async () => {
    const { run, at } = project();
    const flag = ['--build-arg', 'BUILDKIT_MULTI_PLATFORM=1'];
    expect((await run('-q', ...flag, '-o', 'type=oci,dest=a.tar')).code).toBe(0);
    const [entry] = indexOf(at('a.tar')).manifests;
    expect(entry?.mediaType).toBe('application/vnd.oci.image.index.v1+json');
  });

  test('FROM takes the image of its platform out of a list', async () => {
    const { run, cwd, context } = project('FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH\n');
    await run('-q', '--platform', 'linux/amd64,linux/riscv64', '-t', 'm');
    writeFileSync(join(context, 'Dockerfile'), 'FROM m\nENV B=1\n');
    for (const architecture of ['amd64', 'riscv64']) {
      await run('-q', '--platform', `linux/${architecture}`, '-t', 'one');
      const shown = await cairn(
        { root: join(cwd, 'store') },
        ...['image', 'inspect', '-f', '{{.Architecture}} {{.Config.Env}}', 'one'],
      );
      expect(shown.stdout).toMatch(new RegExp(`^${architecture} .*A=${architecture} B=1`));
    }
    const missing = await run('-q', '--platform', 'linux/s390x');
    expect(missing.stderr).toMatch(/error\[(PLATFORM_MISMATCH|IMAGE_NOT_FOUND)\]/);
  });

  test('O12: warnings are in the metadata when BUILDX_METADATA_WARNINGS asks for them', async () => {
    const { context, cwd, at } = project('from scratch as a\nCOPY . /\n');
    const host = { root: join(cwd, 'store'), cwd, env: { BUILDX_METADATA_WARNINGS: '1' } };
    await cairn(host, 'build', '-q', '--metadata-file', 'meta', context);
    const [warning] = JSON.parse(readFileSync(at('meta'), 'utf8'))['buildx.build.warnings'];
    expect(Buffer.from(warning.short, 'base64').toString()).toMatch(/^ConsistentInstructionCasing: /);
  });
});

test('O14: --squash leaves one layer on the base, the whole history and what was merged', async () => {
  const { run, cwd, context } = project('FROM scratch\nCOPY tree /tree\n');
  const store = { root: join(cwd, 'store') };
  const base = (await run('-q', '-t', 'base')).stdout.trim();
  writeFileSync(join(context, 'Dockerfile'), 'FROM base\nCOPY tree/a /x\nENV A=1\nCOPY tree/ro/b /x\n');
  const plain = (await run('-q', '-t', 'plain')).stdout.trim();
  await run('-q', '--squash', '-t', 'squashed');
  const inspect = async (format: string) =>
    (await cairn(store, 'image', 'inspect', '-f', format, 'squashed')).stdout.trim();
  expect(await inspect('{{len .RootFS.Layers}}')).toBe('2');
  const history = await cairn(
    store,
    'history',
    '--no-trunc',
    '--format',
    '{{.CreatedBy}}|{{.Comment}}',
    'squashed',
  );
  expect(history.stdout.split('\n').slice(0, 3)).toEqual([
    `|merge ${plain} to ${base}`,
    'COPY tree/ro/b /x # buildkit|buildkit.dockerfile.v0',
    'ENV A=1|buildkit.dockerfile.v0',
  ]);
  writeFileSync(join(context, 'Dockerfile'), 'FROM squashed\n');
  const { stdout } = await run('-q', '-o', '-');
  writeFileSync(join(context, 'Dockerfile'), 'FROM plain\n');
  expect(stdout).toBe((await run('-q', '-o', '-')).stdout);
});
