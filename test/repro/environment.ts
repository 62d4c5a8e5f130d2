/** One way in which a builder's surroundings can be. Nothing of it may show in an image. */
export interface Environment {
  readonly name: string;
  /** File system of store and contexts: a loop device, or memory. */
  readonly fileSystem: 'ext4' | 'xfs' | 'btrfs' | 'tmpfs';
  readonly sandbox: 'crun' | 'runc' | 'builtin';
  /** Of the builder, when it starts. */
  readonly umask: string;
  /** Of the checkout: what git would have given its files. */
  readonly checkoutUmask: '022' | '002';
  /** Who owns the context's files. */
  readonly owner: number;
  /** Where store and contexts lie below the file system's root. */
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
  readonly hostname: string;
  /** CPUs that the builder may use: `taskset`'s list; all when absent. */
  readonly cpus?: string;
  /** Days by which every clock is ahead, the builder's and that of programs in RUN (crun only). */
  readonly daysAhead?: number;
  /** In which order files of contexts are created. */
  readonly order: 'sorted' | 'reversed' | 'shuffled';
  /** Major version of Node; the one that runs this program when absent. */
  readonly node?: string;
  /** User that builds what needs no RUN; root when absent. */
  readonly uid?: number;
  /** Context bytes shown again with another set of times. */
  readonly touched: number;
}

/** The first one is what the others are compared with. Each factor has at least two values, most more. */
export const environments: readonly Environment[] = [
  {
    name: 'ext4-crun',
    fileSystem: 'ext4',
    sandbox: 'crun',
    umask: '022',
    checkoutUmask: '022',
    owner: 0,
    path: 'a',
    env: { TZ: 'UTC', LANG: 'C' },
    hostname: 'first',
    order: 'sorted',
    touched: 1_500_000_000,
  },
  {
    name: 'tmpfs-builtin',
    fileSystem: 'tmpfs',
    sandbox: 'builtin',
    umask: '077',
    checkoutUmask: '002',
    owner: 1000,
    path: 'a much longer path/with blanks/and-ünïcode',
    env: { TZ: 'America/St_Johns', LANG: 'de_DE.UTF-8', LC_ALL: 'C.UTF-8', USER: 'somebody', HOME: '/tmp' },
    hostname: 'another-host.example.com',
    cpus: '0',
    order: 'reversed',
    node: '22',
    uid: 1000,
    touched: 1_700_000_000,
  },
  {
    name: 'xfs-runc',
    fileSystem: 'xfs',
    sandbox: 'runc',
    umask: '002',
    checkoutUmask: '022',
    owner: 4242,
    path: 'deep/er/and/deep/er',
    env: { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', SHELL: '/bin/false' },
    hostname: 'x',
    cpus: '1',
    order: 'shuffled',
    node: '24',
    touched: 1,
  },
  {
    name: 'btrfs-crun-later',
    fileSystem: 'btrfs',
    sandbox: 'crun',
    umask: '022',
    checkoutUmask: '002',
    owner: 0,
    path: 'b',
    env: { TZ: 'Pacific/Chatham', LANG: 'C.UTF-8', LD_BIND_NOW: '1' },
    hostname: 'later',
    daysAhead: 400,
    order: 'shuffled',
    touched: 2_000_000_000,
  },
];
