declare const byteBrand: unique symbol;

/**
 * Raw bytes held in a JavaScript string, one byte per character (the latin1 view). Linux file names, link
 * targets and xattr values are bytes, not text: this keeps them exact, makes `<` compare in byte order,
 * and survives JSON. ASCII text is its own byte string.
 */
export type ByteString = string & { readonly [byteBrand]: true };

/** The UTF-8 bytes of a text (a name written in a Dockerfile or on a command line). */
export function toBytes(text: string): ByteString {
  return (isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')) as ByteString;
}

/** The text that the bytes spell in UTF-8, for messages; broken sequences become U+FFFD. */
export function toText(bytes: ByteString): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A buffer holding exactly the bytes. */
export function toBuffer(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** The bytes of a buffer as a byte string. */
export function fromBuffer(buffer: Uint8Array): ByteString {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString('latin1') as ByteString;
}

/** What to pass to `node:fs` as a path: Node would encode a string as UTF-8, so non-ASCII goes as a buffer. */
export function fsPath(path: ByteString): string | Buffer {
  return isAscii(path) ? path : toBuffer(path);
}

function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}
