import type { Cause, Detail } from './cause.ts';
import { type Circumstances, evidenceAt } from './evidence.ts';
import { bytesOf, type FileBytes, firstDifference, wholeOf } from './file-bytes.ts';
import { arFormat, arMembers, isAr } from './formats/ar.ts';
import { type Examine, type Member, type MemberFormat, memberDetails } from './formats/format.ts';
import { gzipDetails, isGzip } from './formats/gzip.ts';
import { headerFormats } from './formats/headers.ts';
import { isTar, tarFormat, tarMembers } from './formats/tar.ts';
import { isZip, zipFormat, zipMembers } from './formats/zip.ts';

/** Archives in archives are opened so deep. */
const maxDepth = 4;

interface ArchiveFormat extends MemberFormat {
  readonly matches: (bytes: Buffer) => boolean;
  readonly members: (bytes: Buffer) => readonly Member[] | null;
}

const archiveFormats: readonly ArchiveFormat[] = [
  { ...tarFormat, matches: isTar, members: tarMembers },
  { ...zipFormat, matches: isZip, members: zipMembers },
  { ...arFormat, matches: isAr, members: arMembers },
];

/**
 * Says what differs between two contents of one file: the place by the rules of the file's format, archives being opened, and what
 * the bytes tell about the cause.
 * @returns nothing for equal contents
 */
export function examineFile(
  a: FileBytes,
  b: FileBytes,
  options: { readonly path: string; readonly circumstances: Circumstances },
): readonly Detail[] {
  const [left, right] = [wholeOf(a), wholeOf(b)];
  const { path, circumstances } = options;
  if (left !== null && right !== null) return [...new Examiner(path, circumstances).examine(left, right, 0)];
  const at = firstDifference(a, b);
  if (at === null) return [];
  const from = Math.max(0, at - 256);
  return [plainDetail(a.read(from, 4096), b.read(from, 4096), { at: at - from, shift: from, circumstances })];
}

class Examiner {
  readonly #path: string;
  readonly #circumstances: Circumstances;

  constructor(path: string, circumstances: Circumstances) {
    this.#path = path;
    this.#circumstances = circumstances;
  }

  *examine(a: Buffer, b: Buffer, depth: number): Generator<Detail> {
    const at = firstDifference(bytesOf(a), bytesOf(b));
    if (at === null) return;
    const found = depth < maxDepth ? [...this.#inside(a, b, depth)] : [];
    if (found.length > 0) yield* found;
    else
      yield this.#header(a, b, at) ?? plainDetail(a, b, { at, shift: 0, circumstances: this.#circumstances });
  }

  *#inside(a: Buffer, b: Buffer, depth: number): Generator<Detail> {
    const inner: Examine = (left, right, place) => this.#placed(left, right, depth + 1, place);
    if (isGzip(a) && isGzip(b)) yield* gzipDetails(a, b, inner);
    for (const format of archiveFormats) {
      if (!format.matches(a) || !format.matches(b)) continue;
      const [before, after] = [format.members(a), format.members(b)];
      if (before !== null && after !== null) yield* memberDetails(before, after, format, inner);
    }
  }

  *#placed(a: Buffer, b: Buffer, depth: number, place: string): Generator<Detail> {
    for (const detail of this.examine(a, b, depth)) yield { ...detail, what: `${place}: ${detail.what}` };
  }

  #header(a: Buffer, b: Buffer, at: number): Detail | null {
    for (const { matches, explain } of headerFormats) {
      if (!matches(a, this.#path) || !matches(b, this.#path)) continue;
      const detail = explain(a, b, at);
      if (detail === null) return null;
      const evidence = evidenceAt(a, b, at, this.#circumstances);
      return { ...evidence, ...excerpts(a, b, at), ...detail };
    }
    return null;
  }
}

interface Difference {
  readonly at: number;
  /** Where the buffers begin in their file. */
  readonly shift: number;
  readonly circumstances: Circumstances;
}

function plainDetail(a: Buffer, b: Buffer, { at, shift, circumstances }: Difference): Detail {
  const evidence = evidenceAt(a, b, at, circumstances);
  const order: { readonly cause: Cause } | null =
    evidence === null && haveSameLines(a, b) ? { cause: 'hash-order' } : null;
  const isText = looksLikeText(a) && looksLikeText(b);
  const line =
    isText && shift === 0 ? `line ${a.subarray(0, at).filter((byte) => byte === 0x0a).length + 1}` : '';
  const what = order !== null ? 'the same lines in another order' : line === '' ? `byte ${at + shift}` : line;
  return { what, ...excerpts(a, b, at), ...evidence, ...order };
}

/** A file is text when its beginning has no control characters but blanks. */
function looksLikeText(bytes: Buffer): boolean {
  return !bytes.subarray(0, 4096).some((byte) => byte < 9 || (byte > 13 && byte < 32 && byte !== 27));
}

function haveSameLines(a: Buffer, b: Buffer): boolean {
  if (a.length !== b.length || !looksLikeText(a)) return false;
  const lines = (bytes: Buffer): readonly string[] => bytes.toString('latin1').split('\n').sort();
  const [left, right] = [lines(a), lines(b)];
  return left.length > 2 && left.every((line, i) => line === right[i]);
}

const excerptLength = 48;

/** A few characters around the difference: the line it is in when that is text, else hex digits. */
function excerpts(a: Buffer, b: Buffer, at: number): Pick<Detail, 'before' | 'after'> {
  return { before: excerpt(a, at), after: excerpt(b, at) };
}

function excerpt(bytes: Buffer, at: number): string {
  if (at >= bytes.length) return '(end of file)';
  const piece = bytes.subarray(Math.max(0, at - excerptLength), at + excerptLength);
  if (!looksLikeText(piece)) return bytes.subarray(at, at + 8).toString('hex');
  const own = Math.min(at, excerptLength);
  const lineStart = piece.lastIndexOf(0x0a, own - 1) + 1;
  const lineEnd = piece.indexOf(0x0a, own);
  return piece.toString('utf8', own === 0 ? 0 : lineStart, lineEnd < 0 ? piece.length : lineEnd);
}
