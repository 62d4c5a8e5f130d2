import { createHash } from 'node:crypto';

/** Bytes of a record: device, inode, size, mtime, ctime (8 each), the digest (32), age (1), padding to 80. */
const recordBytes = 80;
const identityBytes = 40;
const digestAt = 40;
const ageAt = 72;
const headerBytes = 32;
const trailerBytes = 32;
const magic = Buffer.from('cairnst1');
/** An entry that this many saves have not seen used is dropped: its file is gone, or the context moved. */
const maxAge = 8;

/** (device, inode) as two 64-bit values, then size, mtime and ctime: 40 bytes, little endian. */
export type IdentityBytes = Buffer;

/**
 * Digests by file identity, for some 100,000 files without an object for each: records in one buffer, found by an
 * open-addressing table over device and inode. The same bytes lie on disk, so loading is one read and one hash.
 */
export class StatTable {
  #records: Buffer;
  #slots: Uint32Array;
  #count: number;
  #used: Uint8Array;

  private constructor(records: Buffer, slots: Uint32Array, count: number) {
    this.#records = records;
    this.#slots = slots;
    this.#count = count;
    this.#used = new Uint8Array(records.length / recordBytes);
  }

  static empty(): StatTable {
    return new StatTable(Buffer.alloc(recordBytes * 64), new Uint32Array(128), 0);
  }

  /** @returns null for bytes that are not a whole, undamaged table */
  static decode(file: Buffer): StatTable | null {
    if (file.length < headerBytes + trailerBytes || !file.subarray(0, 8).equals(magic)) return null;
    const body = file.subarray(0, -trailerBytes);
    if (!createHash('sha256').update(body).digest().equals(file.subarray(-trailerBytes))) return null;
    const count = file.readUInt32LE(8);
    const slotCount = file.readUInt32LE(12);
    const recordsAt = headerBytes + slotCount * 4;
    if (body.length !== recordsAt + count * recordBytes) return null;
    // Copied so that the table may grow and the 4-byte view is aligned.
    const slots = new Uint32Array(slotCount);
    Buffer.from(slots.buffer).set(body.subarray(headerBytes, recordsAt));
    return new StatTable(Buffer.from(body.subarray(recordsAt)), slots, count);
  }

  get size(): number {
    return this.#count;
  }

  /** The 32 digest bytes for exactly this identity. */
  get(identity: IdentityBytes): Buffer | null {
    const index = this.#find(identity);
    if (index < 0) return null;
    const at = index * recordBytes;
    // Device and inode are known to match; now size and both times.
    if (this.#records.compare(identity, 16, identityBytes, at + 16, at + identityBytes) !== 0) return null;
    this.#used[index] = 1;
    return this.#records.subarray(at + digestAt, at + digestAt + 32);
  }

  /** Adds, or replaces what was known about the same inode. */
  set(identity: IdentityBytes, digest: Buffer): void {
    let index = this.#find(identity);
    if (index < 0) index = this.#add(identity);
    const at = index * recordBytes;
    identity.copy(this.#records, at, 0, identityBytes);
    digest.copy(this.#records, at + digestAt, 0, 32);
    this.#records[at + ageAt] = 0;
    this.#used[index] = 1;
  }

  /** Forgets what is known about an inode. @returns whether something was */
  invalidate(identity: IdentityBytes): boolean {
    const index = this.#find(identity);
    if (index < 0) return false;
    // No file has this size: the record stays, so that the probe sequences of others do, and never matches again.
    this.#records.fill(0xff, index * recordBytes + 16, index * recordBytes + 24);
    return true;
  }

  /** The table as a file: entries that were used are young again, the others a save older or gone. */
  encode(): Buffer {
    const fresh = StatTable.empty();
    for (let index = 0; index < this.#count; index++) {
      const at = index * recordBytes;
      const age = this.#used[index] ? 0 : (this.#records[at + ageAt] ?? 0) + 1;
      if (age > maxAge || this.#records.readUInt32LE(at + 20) === 0xffffffff) continue;
      const identity = this.#records.subarray(at, at + identityBytes);
      fresh.set(identity, this.#records.subarray(at + digestAt, at + digestAt + 32));
      fresh.#records[(fresh.#count - 1) * recordBytes + ageAt] = age;
    }
    return fresh.#serialize();
  }

  #serialize(): Buffer {
    const slotBytes = this.#slots.length * 4;
    const bodyBytes = headerBytes + slotBytes + this.#count * recordBytes;
    const file = Buffer.alloc(bodyBytes + trailerBytes);
    magic.copy(file);
    file.writeUInt32LE(this.#count, 8);
    file.writeUInt32LE(this.#slots.length, 12);
    file.set(Buffer.from(this.#slots.buffer, this.#slots.byteOffset, slotBytes), headerBytes);
    this.#records.copy(file, headerBytes + slotBytes, 0, this.#count * recordBytes);
    createHash('sha256').update(file.subarray(0, bodyBytes)).digest().copy(file, bodyBytes);
    return file;
  }

  /** Index of the record for the identity's device and inode, or -1. Slots hold index + 1, 0 means free. */
  #find(identity: IdentityBytes): number {
    const mask = this.#slots.length - 1;
    for (let slot = hashOf(identity, 0) & mask; ; slot = (slot + 1) & mask) {
      const held = this.#slots[slot] ?? 0;
      if (held === 0) return -1;
      const at = (held - 1) * recordBytes;
      if (this.#records.compare(identity, 0, 16, at, at + 16) === 0) return held - 1;
    }
  }

  #add(identity: IdentityBytes): number {
    if ((this.#count + 1) * recordBytes > this.#records.length) this.#growRecords();
    const index = this.#count++;
    identity.copy(this.#records, index * recordBytes, 0, identityBytes);
    // At most two thirds full, so that probing stays short.
    if (this.#count * 3 > this.#slots.length * 2) this.#growSlots();
    else this.#place(index);
    return index;
  }

  #place(index: number): void {
    const mask = this.#slots.length - 1;
    let slot = hashOf(this.#records, index * recordBytes) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = index + 1;
  }

  #growRecords(): void {
    const records = Buffer.alloc(Math.max(64, this.#count * 2) * recordBytes);
    this.#records.copy(records);
    const used = new Uint8Array(records.length / recordBytes);
    used.set(this.#used);
    this.#records = records;
    this.#used = used;
  }

  #growSlots(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let index = 0; index < this.#count; index++) this.#place(index);
  }
}

/** Inodes are often consecutive: a multiplicative hash spreads them over the table. */
function hashOf(bytes: Buffer, at: number): number {
  const device = bytes.readUInt32LE(at);
  const low = bytes.readUInt32LE(at + 8);
  const high = bytes.readUInt32LE(at + 12);
  const mixed = Math.imul(low ^ Math.imul(device, 0x85ebca6b) ^ Math.imul(high, 0xc2b2ae35), 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
