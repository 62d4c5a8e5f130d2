import { hostPlatform } from '../../oci/index.ts';
import type { Command, Invocation } from '../command.ts';
import { parseFormat } from '../format/index.ts';
import { documentFormat } from '../format-flag.ts';
import { printDocument } from '../print-document.ts';
import { GoStruct } from '../template/index.ts';
import { cairnVersion } from '../version-number.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Show version information',
  args: { min: 0, max: 0 },
  flags: [documentFormat],
  run: showVersion,
};

/** The API whose answers Cairn's formats imitate: what scripts compare with. */
const apiVersion = '1.51';

function showVersion({ host, flags }: Invocation): number {
  const format = flags.text('format');
  if (format !== undefined) {
    printDocument(host, parseFormat(format, 'version'), versionDocument());
    return 0;
  }
  const { os, architecture } = hostPlatform();
  const lines = [
    'Cairn:',
    ` Version:      ${cairnVersion}`,
    ` Node version: ${process.version}`,
    ` OS/Arch:      ${os}/${architecture}`,
  ];
  host.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

/** There is no daemon: client and server are this program. */
function versionDocument(): GoStruct {
  const { os, architecture } = hostPlatform();
  const common = [
    { name: 'Version', value: cairnVersion },
    { name: 'APIVersion', json: 'ApiVersion', value: apiVersion },
  ];
  const machine = [
    { name: 'GitCommit', value: '' },
    { name: 'GoVersion', value: '' },
    { name: 'Os', value: os },
    { name: 'Arch', value: architecture },
  ];
  const component = new GoStruct('types.ComponentVersion', [
    { name: 'Name', value: 'Engine' },
    { name: 'Version', value: cairnVersion },
  ]);
  return new GoStruct('system.versionInfo', [
    {
      name: 'Client',
      value: new GoStruct('system.clientVersion', [
        ...common,
        { name: 'DefaultAPIVersion', value: apiVersion },
        ...machine,
        { name: 'BuildTime', value: '' },
        { name: 'Context', value: 'default' },
      ]),
    },
    {
      name: 'Server',
      value: new GoStruct('*types.Version', [
        { name: 'Platform', value: new GoStruct('struct', [{ name: 'Name', value: 'Cairn' }]) },
        { name: 'Components', value: [component] },
        ...common,
        { name: 'MinAPIVersion', value: apiVersion },
        ...machine,
        { name: 'KernelVersion', value: '', omitEmpty: true },
        { name: 'BuildTime', value: '' },
      ]),
    },
  ]);
}
