import { chmodSync, linkSync, mkdirSync, unlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BuildOptions } from '../../src/builder/index.ts';
import { ExplainedBuilds } from '../support/explained-builds.ts';
import { rawTar } from '../support/raw-tar.ts';
import { scratchFolder } from '../support/scratch.ts';

interface Case {
  readonly dockerfile: string;
  readonly options?: Partial<BuildOptions>;
  readonly prepare?: (builds: ExplainedBuilds) => void;
  readonly change?: (builds: ExplainedBuilds) => void;
  readonly after?: Partial<BuildOptions>;
}

const from = (...lines: string[]) => `FROM scratch\n${lines.join('\n')}\n`;
const preserve = { timestamp: { kind: 'preserve' } } as const;
const at = ({ context }: ExplainedBuilds, path: string) => join(context, path);

/** Things that change the result of a step; each must change its key. */
const cases: readonly (readonly [string, Case])[] = [
  [
    'the time of a copied file, when times are kept',
    {
      dockerfile: from('COPY f /f'),
      options: preserve,
      prepare: (b) => utimesSync(b.file('f', 'x'), 100, 100),
      change: (b) => utimesSync(at(b, 'f'), 200, 200),
    },
  ],
  [
    'the time of a file matched by a pattern, when times are kept',
    {
      dockerfile: from('COPY d* f* /x/'),
      options: preserve,
      prepare: (b) => {
        b.file('d/a', 'x');
        utimesSync(b.file('f1', 'x'), 100, 100);
      },
      change: (b) => utimesSync(at(b, 'f1'), 200, 200),
    },
  ],
  [
    'the epoch, when only folders on the way get it',
    {
      dockerfile: 'FROM scratch AS a\nCOPY f /f\nFROM scratch\nCOPY --from=a /f /new/folder/\n',
      options: { timestamp: { kind: 'epoch', seconds: 1_000_000 } },
      prepare: (b) => b.file('f', 'x'),
      after: { timestamp: { kind: 'epoch', seconds: 2_000_000 } },
    },
  ],
  [
    'whether times in an archive are kept',
    {
      dockerfile: from('ADD t.tar /'),
      options: { timestamp: { kind: 'epoch', seconds: 5 } },
      prepare: (b) => {
        const path = b.file('t.tar', rawTar([{ name: 'a', mtime: '00000000144\0' }]).toString('latin1'));
        utimesSync(path, 5, 5);
      },
      after: preserve,
    },
  ],
  [
    'the mode of a folder that only leads to a match, whatever --chmod says',
    {
      dockerfile: from('COPY seed /', 'COPY --parents --chmod=755 d/f* /'),
      prepare: (b) => {
        b.file('d/f', 'x');
        mkdirSync(at(b, 'seed/d'), { recursive: true });
      },
      change: (b) => chmodSync(at(b, 'd'), 0o711),
    },
  ],
  [
    'whether two files are one',
    {
      dockerfile: from('COPY d /d'),
      prepare: (b) => {
        b.file('d/a', 'x');
        b.file('d/b', 'x');
      },
      change: (b) => {
        unlinkSync(at(b, 'd/b'));
        linkSync(at(b, 'd/a'), at(b, 'd/b'));
      },
    },
  ],
  [
    'the name of a file that goes into a folder',
    {
      dockerfile: from('COPY f* /x/'),
      prepare: (b) => b.file('f1', 'x'),
      change: (b) => {
        unlinkSync(at(b, 'f1'));
        b.file('f2', 'x');
      },
    },
  ],
  [
    'the content of an archive that --exclude would leave out',
    {
      dockerfile: from('ADD --exclude=*.tar t.tar /'),
      prepare: (b) => b.file('t.tar', rawTar([{ name: 'a' }]).toString('latin1')),
      change: (b) => b.file('t.tar', rawTar([{ name: 'b' }]).toString('latin1')),
    },
  ],
  [
    'context modes',
    {
      dockerfile: from('COPY f /f'),
      prepare: (b) => chmodSync(b.file('f', 'x'), 0o664),
      after: { contextModes: 'exact' },
    },
  ],
  [
    'account files that --chown looks into',
    {
      dockerfile: from('COPY passwd /etc/passwd', 'COPY --chown=me f /f'),
      prepare: (b) => {
        b.file('passwd', 'me:x:5:6::/:\n');
        b.file('f', 'x');
      },
      change: (b) => b.file('passwd', 'me:x:7:8::/:\n'),
    },
  ],
  [
    'account files that the owner of WORKDIR comes from',
    {
      dockerfile: from('COPY passwd /etc/passwd', 'USER me', 'WORKDIR /w'),
      prepare: (b) => b.file('passwd', 'me:x:5:6::/:\n'),
      change: (b) => b.file('passwd', 'me:x:7:8::/:\n'),
    },
  ],
];

describe('what changes the result of a step changes its key', () => {
  test.each(cases)('%s', async (_, { dockerfile, options = {}, prepare, change, after = options }) => {
    const builds = new ExplainedBuilds(scratchFolder());
    prepare?.(builds);
    const first = await builds.run(dockerfile, options);
    change?.(builds);
    const second = await builds.run(dockerfile, after);
    const fresh = new ExplainedBuilds(scratchFolder());
    const context = { kind: 'dir', path: builds.context } as const;
    const right = await fresh.run(dockerfile, { ...after, context });
    expect(second.imageId).toBe(right.imageId);
    expect(second.imageId).not.toBe(first.imageId);
  });
});
