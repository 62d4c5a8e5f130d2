import { createWriteStream, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { finished } from 'node:stream/promises';
import { CairnError } from '../../errors/index.ts';
import { hostPlatform, parsePlatform } from '../../oci/index.ts';
import { saveImages, selectImages } from '../../store/index.ts';
import { hostPath } from '../build/build-options.ts';
import type { Command, Invocation } from '../command.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { requirePlatform } from '../platform-flag.ts';
import { explainWriteError } from '../write-output.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Write images to an archive or standard output',
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  flags: [
    { name: 'output', short: 'o', kind: 'string', help: 'Write to this file instead of standard output' },
    {
      name: 'platform',
      kind: 'string',
      help: 'Which platform of the images (os/architecture); fail when one has another',
    },
  ],
  run: (invocation) => withStore(invocation.host, (store) => save(invocation, store)),
};

async function save({ host, flags, args }: Invocation, store: OpenStore): Promise<number> {
  const output = flags.text('output');
  if (!output && host.stdout.isTty)
    throw new CairnError('USAGE', {
      message: 'cowardly refusing to save to a terminal',
      help: 'use the -o flag or redirect',
    });
  const wanted = flags.text('platform');
  const platform = wanted === undefined ? {} : { platform: parsePlatform(wanted, hostPlatform()) };
  const images = selectImages(store, args, platform);
  for (const image of images) requirePlatform(image, wanted);
  const { signal } = host;
  if (!output) {
    await saveImages(store, images, host.stdout.stream(), { signal });
    return 0;
  }
  const path = hostPath(host, output);
  checkOutput(path, output);
  const isDevice = statSync(path, { throwIfNoEntry: false })?.isFile() === false;
  const file = createWriteStream(path);
  try {
    await saveImages(store, images, file, { signal });
    file.end();
    await finished(file);
  } catch (error) {
    file.destroy();
    // Half an archive must not pass for one; what was no plain file is not ours to remove.
    if (!isDevice) rmSync(path, { force: true });
    throw explainWriteError(output, error);
  }
  return 0;
}

function checkOutput(path: string, given: string): void {
  const fail = (why: string): never => {
    throw new CairnError('USAGE', { message: `failed to save image: invalid output path: ${why}` });
  };
  const folder = statSync(dirname(path), { throwIfNoEntry: false });
  if (!folder?.isDirectory()) fail(`directory "${dirname(given)}" does not exist`);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) fail(`"${given}" must be a regular file`);
}
