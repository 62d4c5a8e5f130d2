import { applyChanges, defaultEpoch } from '../../builder/index.ts';
import { CairnError } from '../../errors/index.ts';
import { hostPlatform, parsePlatform } from '../../oci/index.ts';
import { importImage } from '../../store/index.ts';
import type { Command, Invocation } from '../command.ts';
import { unsupported } from '../dispatch.ts';
import { rfc3339Seconds } from '../format/index.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { readInputFile } from '../read-input.ts';
import { parseTarget } from './tag.ts';

export const command: Command = {
  usage: '[OPTIONS] file|- [REPOSITORY[:TAG]]',
  summary: 'Make an image from a tar of a file system',
  args: { min: 1, max: 2 },
  flags: [
    {
      name: 'change',
      short: 'c',
      kind: 'list',
      help: 'Apply a Dockerfile instruction to the image (CMD, ENV, LABEL …)',
    },
    { name: 'message', short: 'm', kind: 'string', help: "Comment of the image's history" },
    {
      name: 'platform',
      kind: 'string',
      help: 'Platform of the image (os/architecture; default: this machine)',
    },
  ],
  run: (invocation) => withStore(invocation.host, (store) => importTar(invocation, store)),
};

async function importTar({ host, flags, args }: Invocation, store: OpenStore): Promise<number> {
  const [source = '', name] = args;
  if (/^https?:\/\//.test(source))
    throw unsupported(`importing ${source}`, 'fetch it first and give the file');
  const reference = name === undefined ? undefined : parseTarget(name);
  const wanted = flags.text('platform');
  const platform = wanted ? parsePlatform(wanted, hostPlatform()) : hostPlatform();
  const config = applyChanges(flags.list('change'));
  const record = await importImage(
    store,
    source === '-' ? host.stdin.chunks() : readInputFile(host, source),
    {
      config,
      platform,
      // Docker's client hands a file over as a stream, so that its name is "-" as well: equal inputs, equal images.
      message: flags.text('message') ?? 'Imported from -',
      created: createdAt(host.env.SOURCE_DATE_EPOCH),
      signal: host.signal,
      ...(reference ? { reference } : {}),
    },
  );
  host.stdout.write(`${record.id}\n`);
  return 0;
}

/** @throws {CairnError} EPOCH_INVALID */
function createdAt(sourceDateEpoch: string | undefined): string {
  const text = sourceDateEpoch || String(defaultEpoch);
  if (/^\d{1,11}$/.test(text)) return rfc3339Seconds(Number(text) * 1000);
  throw new CairnError('EPOCH_INVALID', {
    message: `SOURCE_DATE_EPOCH "${text}" is not a number of seconds since 1970`,
  });
}
