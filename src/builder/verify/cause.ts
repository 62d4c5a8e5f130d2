/** Why a result differs from one execution to the next: classes that users, scripts and docs/verify.md go by. */
export const causes = {
  clock: 'the clock',
  randomness: 'randomness',
  'host-name': 'the host name',
  'cpu-count': 'the number of CPUs',
  'process-ids': 'process IDs',
  'directory-order': 'the order of files in a directory',
  umask: 'the umask of the caller',
  'store-path': 'the place of the store on the host',
  'temporary-name': 'a temporary name',
  addresses: 'memory addresses',
  'hash-order': 'the order of a hash table or of parallel work',
  network: 'what the network answers',
  inodes: 'inode numbers or devices',
  environment: 'the environment as a whole',
} as const;

export type Cause = keyof typeof causes;

/** One thing that differs within a file, a layer entry or an archive member. */
export interface Detail {
  /** `mode`, `gzip header, modification time`, `byte 17`, … */
  readonly what: string;
  readonly before?: string;
  readonly after?: string;
  /** When the difference itself tells. */
  readonly cause?: Cause;
  /** The line that would fix it, when the format tells. */
  readonly fix?: string;
  /** It shows only that the clock was not the machine's (varied-clock.ts). */
  readonly isArtefact?: boolean;
}
