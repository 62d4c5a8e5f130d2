import { closeSync, openSync, readSync } from 'node:fs';
import { CairnError, type Span } from '../errors/index.ts';
import type { SandboxUser } from '../run/contracts.ts';
import type { ContentSource, LayerStore, Tree } from '../store/contracts.ts';
import { type ByteString, fsPath } from '../sys/index.ts';
import { resolvePath } from './copy/resolve-path.ts';
import type { Ownership } from './copy/tree-editor.ts';

/** A user with the home folder that its passwd entry names. */
export interface ResolvedUser extends SandboxUser {
  /** `/` without an entry, as Docker's builder sets HOME. */
  readonly home: string;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** Larger account files are not read (BuildKit's limit). */
const maxFileBytes = 10 << 20;

/**
 * Looks a USER value up in an image's /etc/passwd and /etc/group, as Docker does when a command starts: `user`,
 * `uid`, `user:group` and so on. A named or listed user has its primary group and the groups that list it; an
 * explicit group is the only one; an unknown number stands for itself with group 0.
 * @param spec - as in the config; '' is root.
 * @throws {CairnError} USER_NOT_FOUND for a name without an entry
 */
export function resolveUser(layers: LayerStore, tree: Tree, spec: string, at?: Span): ResolvedUser {
  const [userText = '', groupText = ''] = splitOnce(spec, ':');
  const users = parsePasswd(readAccountFile(layers, tree, 'etc/passwd'));
  const groups = parseGroup(readAccountFile(layers, tree, 'etc/group'));
  const number = parseId(userText);
  const wanted = userText === '' ? '0' : userText;
  const entry =
    users.find((user) => user.name === wanted) ??
    users.find((user) => user.uid === (number ?? (userText === '' ? 0 : -1)));
  if (entry === undefined && number === null && userText !== '' && userText !== 'root')
    throw notFound('user', userText, 'passwd', at);
  const uid = entry?.uid ?? number ?? 0;
  const home = entry?.home || '/';
  if (groupText !== '') {
    const gid = groups.find((group) => group.name === groupText)?.gid ?? parseId(groupText);
    if (gid === null) throw notFound('group', groupText, 'group', at);
    return { uid, gid, additionalGids: [gid], home };
  }
  const gid = entry?.gid ?? 0;
  const supplementary = entry
    ? groups.filter((group) => group.members.includes(entry.name)).map((group) => group.gid)
    : [];
  return { uid, gid, additionalGids: [...new Set([gid, ...supplementary])], home };
}

/**
 * Looks up `--chown=user[:group]` in the destination's account files. A lone number is user and group; a lone name brings its
 * primary group; an unknown name is 0, as BuildKit has it (measured with 20.10 and 28.5, row C25).
 * @throws {CairnError} USER_NOT_FOUND for a name in an image that has nothing at all (FROM scratch)
 */
export function resolveOwner(layers: LayerStore, tree: Tree, spec: string): Ownership {
  const [userText = '', groupText] = splitOnce(spec, ':');
  const number = parseId(userText);
  const name = number === null ? userText : groupText && parseId(groupText) === null ? groupText : '';
  if (name !== '' && tree.list('' as ByteString).length === 0)
    throw new CairnError('USER_NOT_FOUND', {
      message: `unable to find "${name}": the image is empty and has no account files`,
      help: 'use numbers (--chown=1000:1000), or copy /etc/passwd and /etc/group first',
    });
  const user =
    number === null
      ? parsePasswd(readAccountFile(layers, tree, 'etc/passwd')).find((entry) => entry.name === userText)
      : { uid: number, gid: number };
  const owner = { uid: user?.uid ?? 0, gid: user?.gid ?? 0 };
  if (groupText === undefined || groupText === '') return owner;
  const groups = parseId(groupText) === null ? parseGroup(readAccountFile(layers, tree, 'etc/group')) : [];
  return { ...owner, gid: parseId(groupText) ?? groups.find((group) => group.name === groupText)?.gid ?? 0 };
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function parseId(text: string): number | null {
  if (!/^\d{1,10}$/.test(text)) return null;
  const id = Number(text);
  return id <= 0xffff_ffff ? id : null;
}

function parsePasswd(text: string): PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , uid = '', gid = '', , home = ''] = line.trim().split(':');
    if (name === '' || parseId(uid) === null) return [];
    return [{ name, uid: Number(uid), gid: parseId(gid) ?? 0, home }];
  });
}

function parseGroup(text: string): GroupEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , gid = '', members = ''] = line.trim().split(':');
    if (name === '' || parseId(gid) === null) return [];
    return [{ name, gid: Number(gid), members: members.split(',').filter((member) => member !== '') }];
  });
}

/** The text of a small file of an image; empty when it is absent. Links are followed inside the image only. */
export function readAccountFile(layers: LayerStore, tree: Tree, path: string): string {
  const node = tree.get(resolvePath(tree, path as ByteString, { followLast: true }));
  if (node?.type !== 'file') return '';
  if (node.size > maxFileBytes)
    throw new CairnError('USER_NOT_FOUND', {
      message: `/${path} of the image has ${node.size} bytes; at most ${maxFileBytes} are read`,
    });
  return readSource(layers.content(node), node.size).toString('utf8');
}

function readSource(source: ContentSource, sizeBytes: number): Buffer {
  if (source.kind === 'bytes') return Buffer.from(source.bytes);
  const buffer = Buffer.alloc(sizeBytes);
  const fd = openSync(source.kind === 'path' ? fsPath(source.path) : source.path, 'r');
  try {
    const start = source.kind === 'slice' ? source.offset : 0;
    const read = readSync(fd, buffer, 0, sizeBytes, start);
    return buffer.subarray(0, read);
  } finally {
    closeSync(fd);
  }
}

function notFound(kind: 'user' | 'group', name: string, file: string, at: Span | undefined): CairnError {
  return new CairnError('USER_NOT_FOUND', {
    message: `unable to find ${kind} ${name}: no matching entries in ${file} file`,
    ...(at ? { at } : {}),
    help: `create it in an earlier RUN (${kind}add or add${kind}), or use a number`,
  });
}
