export { type ByteString, fromBuffer, fsPath, toBuffer, toBytes, toText } from './byte-string.ts';
