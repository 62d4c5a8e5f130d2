import { createHash, type Hash, hash } from 'node:crypto';
import { type Digest, fromHex } from '../../oci/index.ts';
import { type TarHandler, type TarMember, TarReader } from '../../store/index.ts';

/** A member of an archive; a file has a digest. */
export interface ArchiveMember extends TarMember {
  readonly digest?: Digest;
}

/** Collects the members of a tar, in its order, with the digests of their contents. */
export class MemberCollector implements TarHandler {
  readonly members: ArchiveMember[] = [];
  readonly #reader = new TarReader(this);
  #current: TarMember | null = null;
  #hash: Hash | null = null;
  #digest: Digest | null = null;

  /** @throws {CairnError} ARCHIVE_INVALID */
  write(chunk: Uint8Array): void {
    this.#reader.write(chunk);
  }

  /** Says that there are no more bytes. @throws {CairnError} ARCHIVE_INVALID */
  finish(): void {
    this.#reader.end();
  }

  /** True once a member's header was read: what comes is a tar. */
  get hasBegun(): boolean {
    return this.#current !== null || this.members.length > 0;
  }

  member(member: TarMember): void {
    this.#current = member;
    this.#hash = null;
    this.#digest = null;
  }

  content(chunk: Uint8Array): void {
    if (this.#current?.size === chunk.length) {
      this.#digest = fromHex(hash('sha256', chunk));
      return;
    }
    this.#hash ??= createHash('sha256');
    this.#hash.update(chunk);
  }

  end(): void {
    const member = this.#current;
    this.#current = null;
    if (member === null) return;
    if (member.type !== 'file') this.members.push(member);
    else
      this.members.push({
        ...member,
        digest: this.#digest ?? fromHex(this.#hash?.digest('hex') ?? hash('sha256', '')),
      });
  }
}
