import type { ByteString } from '../../sys/index.ts';
import { getXattr, isMappedId, isUserNamespace, setXattr } from '../../sys/index.ts';

// A user namespace of a single id knows no owner but its root. Files of other owners are unpacked as root's there, and their true owner is
// noted in an attribute that overlay copies up with the file. Symbolic links and special files cannot have such attributes (xattr(7)):
// scanning asks the parent about them.

/** The attribute: `uid:gid` in decimal. It never enters a layer, nor does it come out of one. */
export const ownerMark = 'user.cairn.owner';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Who stands in for an owner that does not exist here. */
export function standIn({ uid, gid }: Owner): Owner {
  return { uid: isMappedId('uid', uid) ? uid : 0, gid: isMappedId('gid', gid) ? gid : 0 };
}

/** Whether files can be given to this owner here. */
export function isOwnerMapped({ uid, gid }: Owner): boolean {
  return !isUserNamespace() || (isMappedId('uid', uid) && isMappedId('gid', gid));
}

/** Notes the true owner of a file or directory. @throws {SystemError} EOPNOTSUPP where the file system has no attributes of users */
export function markOwner(path: ByteString, { uid, gid }: Owner): void {
  setXattr(path, ownerMark, `${uid}:${gid}` as ByteString);
}

/**
 * The owner that a file was unpacked for: as noted, where the file still belongs to who stood in for it.
 * @param found - who the file belongs to now.
 */
export function ownerOf(path: ByteString, found: Owner): Owner {
  const [, uid, gid] = /^(\d{1,10}):(\d{1,10})$/.exec(getXattr(path, ownerMark) ?? '') ?? [];
  if (uid === undefined || gid === undefined) return found;
  return restored({ uid: Number(uid), gid: Number(gid) }, found);
}

/** `noted`, in so far as `found` is its stand-in: what a command gave to somebody else since then is theirs. */
export function restored(noted: Owner, found: Owner): Owner {
  const expected = standIn(noted);
  return {
    uid: expected.uid === found.uid ? noted.uid : found.uid,
    gid: expected.gid === found.gid ? noted.gid : found.gid,
  };
}
