import { createHash } from 'node:crypto';
import { type ByteString, toBytes } from '../../../sys/index.ts';
import type { LayerFile, LayerView, NormalizeRule, Rewrite } from '../contracts.ts';

/** The name of the installed machine (machine-id(5)), drawn when dbus or systemd is installed. */
export const machineIdRule: NormalizeRule = {
  name: 'machine-id',
  tool: 'dbus-uuidgen, systemd-machine-id-setup',
  paths: ['etc/machine-id', 'var/lib/dbus/machine-id'],
  action: { kind: 'rewrite', rewrite },
  reason:
    'a random number, drawn when the package that needs one is installed: a constant one takes its place, since all containers of an image share it anyway',
};

/** The programs that draw one when their package is configured. */
const writers = ['usr/bin/dbus-uuidgen', 'bin/systemd-machine-id-setup', 'usr/bin/systemd-machine-id-setup'];
const length = 33;

function rewrite(file: LayerFile, layer: LayerView): Rewrite | null {
  const isInstalledHere = writers.some((path) => layer.entry(toBytes(path)) !== undefined);
  if (!isInstalledHere || layer.parentText(file.path) !== '') return null;
  const text = layer.read(file, length)?.toString('latin1') ?? '';
  if (!/^[0-9a-f]{32}\n$/.test(text) || text === constantId) return null;
  return { kind: 'content', bytes: Buffer.from(constantId, 'latin1') };
}

const constantId =
  `${createHash('sha256').update('cairn machine-id').digest('hex').slice(0, 32)}\n` as ByteString;
