import { type ByteString, toBytes } from '../../sys/index.ts';

/** The home folders that account files name, below the root, without doubles; root's is always one. */
export function homeFolders(...passwdFiles: readonly string[]): readonly ByteString[] {
  const homes = passwdFiles
    .flatMap((text) => text.split('\n'))
    .map((line) => line.split(':')[5] ?? '')
    .filter((home) => /^\/[^/]/.test(home))
    .map((home) => toBytes(home.replace(/^\/+|\/+$/g, '')));
  // System accounts have homes such as /bin or /usr/sbin, where no program keeps a cache.
  return [...new Set([toBytes('root'), ...homes])].filter(
    (home) => !/^(?:bin|dev|proc|usr)(?:\/|$)/.test(home),
  );
}
