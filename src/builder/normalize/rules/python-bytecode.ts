import type { ByteString } from '../../../sys/index.ts';
import type { LayerFile, LayerView, NormalizeRule, Rewrite } from '../contracts.ts';

/** Where Python keeps the time of the source in a compiled file (PEP 552; PEP 3147 for the layouts before it). */
export const pythonBytecodeRule: NormalizeRule = {
  name: 'python-bytecode',
  tool: 'python',
  paths: ['**/*.pyc'],
  action: { kind: 'rewrite', rewrite },
  reason:
    "the time of its source, which becomes the epoch: the same is written to the compiled file, so that it stays valid. Files that name their source's hash have no time",
};

function rewrite(file: LayerFile, layer: LayerView): Rewrite | null {
  const source = sourceOf(file.path);
  const entry = source === null ? undefined : layer.entry(source);
  // A source of a lower layer has kept its time, and a compiled file that names another one is stale as it is.
  if (entry?.type !== 'file') return null;
  const header = layer.head(file, 16);
  const offset = timeOffset(header);
  if (offset === null || header.length < offset + 4) return null;
  const [written, stored] = [layer.writtenAt(entry), header.readUInt32LE(offset)];
  if (written >>> 0 !== stored || written === entry.mtime) return null;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(entry.mtime >>> 0);
  return { kind: 'patch', offset, bytes };
}

/** `a/__pycache__/b.cpython-311.opt-1.pyc` and `a/b.pyc` are both of `a/b.py`. */
function sourceOf(path: ByteString): ByteString | null {
  const cached = /^((?:.*\/)?)__pycache__\/([^/.]+)\.[^/]*\.pyc$/s.exec(path);
  if (cached) return `${cached[1]}${cached[2]}.py` as ByteString;
  return path.endsWith('.pyc') && !path.includes('__pycache__/') ? (path.slice(0, -1) as ByteString) : null;
}

/** Number of the first version with flags after the magic number: 3.7. */
const firstWithFlags = 3390;
/** Python 1 and 2 have numbers from 20121 up. */
const firstOfPython2 = 20_000;

/** @returns null for what is no compiled file, or one that is checked by hash */
function timeOffset(header: Buffer): 4 | 8 | null {
  if (header.length < 12 || header[2] !== 0x0d || header[3] !== 0x0a) return null;
  const magic = header.readUInt16LE(0);
  if (magic < firstWithFlags || magic >= firstOfPython2) return 4;
  return header.readUInt32LE(4) === 0 ? 8 : null;
}
