import { createRequire } from 'node:module';

/** What the init of a sandbox does before it becomes the command. Numbers and paths as the kernel takes them. */
export interface InitPlan {
  /** The assembled root file system: a mount point, with /proc, /sys, /dev/mqueue as empty directories. */
  readonly root: string;
  readonly hostname: string;
  /** The network namespace is a new one, whose loopback interface is to be brought up. */
  readonly ownNetwork: boolean;
  readonly sysReadOnly: boolean;
  /** Hidden: a directory under an empty tmpfs, a file under /dev/null. What does not exist is skipped. */
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
  /** A file of the host that is seen as the kernel's boot ID; the kernel's own when absent. */
  readonly bootId?: string;
  /** The process ID after which the next ones come; the kernel's own choice when absent or forbidden. */
  readonly lastPid?: number;
  /** Mask of the capabilities to keep, in decimal (64 bits do not fit a JSON number). */
  readonly capabilities: string;
  /** A seccomp program (struct sock_filter in the machine's byte order) in base64; none when absent. */
  readonly seccomp?: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Absolute, inside the root; must exist. */
  readonly cwd: string;
  /** Absolute path inside the root. */
  readonly program: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** Standard input is a terminal of the sandbox's own devpts: it becomes the controlling terminal and /dev/console. */
  readonly terminal: boolean;
  /** Resource limits: their numbers, soft and hard values in decimal (64 bits do not fit a JSON number). */
  readonly limits: readonly (readonly [resource: number, soft: string, hard: string])[];
}

/**
 * The argv of a program that is to be the first process of new PID, mount, UTS and IPC (perhaps network) namespaces. It says
 * `ready` on file descriptor 3, reads an `InitPlan` there as one line of JSON, does what that says and becomes the
 * command. When something fails it says so on file descriptor 3 as one line of JSON, an `InitFailure`, and exits with 125. When
 * the end of the file comes instead of a plan it exits.
 *
 * It is Node itself with koffi: the last steps before a command can only be done by the process that becomes the command, no
 * system tool does all of them, and one that is started with the command's environment would obey its LD_PRELOAD.
 */
export function initCommand(): readonly string[] {
  const koffi = createRequire(import.meta.url).resolve('koffi');
  // `__name` is what some transpilers wrap functions in; it has no meaning here.
  const source = `const __name = (f) => f; (${initMain.toString()})(require(process.argv[1]))`;
  return [process.execPath, '--no-warnings', '--v8-pool-size=0', '-e', source, koffi];
}

/** Where an init failed. `exec` alone is the command's own fault. */
export interface InitFailure {
  readonly step: 'mount' | 'network' | 'confine' | 'cwd' | 'exec';
  /** Name of the errno, such as `ENOENT`. */
  readonly code: string;
  readonly message: string;
}

/**
 * Runs in a process of its own, from its source text: it must not use anything of this module but types.
 */
function initMain(koffi: typeof import('koffi')): void {
  const fs = process.getBuiltinModule('node:fs');
  const { constants } = process.getBuiltinModule('node:os');
  const { getSystemErrorMap } = process.getBuiltinModule('node:util');
  const conversation = 3;
  const libc = koffi.load(null);
  const c = {
    mount: libc.func('int mount(const char *, const char *, const char *, unsigned long, const char *)'),
    umount2: libc.func('int umount2(const char *, int)'),
    syscall2: libc.func('long syscall(long, const char *, const char *)'),
    sethostname: libc.func('int sethostname(const char *, size_t)'),
    socket: libc.func('int socket(int, int, int)'),
    ioctlBytes: libc.func('ioctl', 'int', ['int', 'unsigned long', 'void *']),
    prctl: libc.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)'),
    prctlPointer: libc.func('prctl', 'int', ['int', 'unsigned long', 'void *']),
    capset: libc.func('int capset(const void *, const void *)'),
    setgroups: libc.func('int setgroups(size_t, const void *)'),
    setresgid: libc.func('int setresgid(unsigned int, unsigned int, unsigned int)'),
    setresuid: libc.func('int setresuid(unsigned int, unsigned int, unsigned int)'),
    setrlimit: libc.func('int setrlimit(int, const void *)'),
    setsid: libc.func('int setsid()'),
    signal: libc.func('void *signal(int, void *)'),
    sigprocmask: libc.func('int sigprocmask(int, const void *, void *)'),
    fcntl: libc.func('int fcntl(int, int, int)'),
    dup2: libc.func('int dup2(int, int)'),
    execve: libc.func('int execve(const char *, const char **, const char **)'),
  };
  const flag = {
    readOnly: 1,
    noSuid: 2,
    noDev: 4,
    noExec: 8,
    remount: 0x20,
    bind: 0x1000,
    recursive: 0x4000,
  };
  const safe = flag.noSuid | flag.noDev | flag.noExec;

  let step: InitFailure['step'] = 'mount';
  try {
    const plan = converse();
    if (plan === null) process.exit(125);
    mountKernelFiles(plan);
    if (plan.lastPid !== undefined) skipPids(plan.root, plan.lastPid);
    enterRoot(plan.root);
    hide(plan);
    step = 'network';
    nameHost(plan.hostname);
    if (plan.ownNetwork) raiseLoopback();
    step = 'confine';
    c.setsid();
    if (plan.terminal) takeTerminal(plan.uid);
    // The user must be able to open /dev/stdout, which leads to a pipe of root's.
    else for (const fd of [0, 1, 2]) fs.fchownSync(fd, plan.uid, -1);
    step = 'cwd';
    process.chdir(plan.cwd);
    step = 'confine';
    limit(plan.limits);
    confine(plan);
    resetSignals();
    closeOnExec();
    step = 'exec';
    c.execve(plan.program, [...plan.argv, null], [...plan.env, null]);
    throw failure(`exec ${plan.program}`);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    fs.writeSync(conversation, `${JSON.stringify({ step, code, message } satisfies InitFailure)}\n`);
    process.exit(125);
  }

  function failure(what: string): Error {
    const errno = koffi.errno();
    const code = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `${errno}`;
    const text = code === 'ENOEXEC' ? 'exec format error' : getSystemErrorMap().get(-errno)?.[1];
    return Object.assign(new Error(`${what}: ${text ?? code}`), { code });
  }

  function check(result: number | bigint, what: string): void {
    if (Number(result) === -1) throw failure(what);
  }

  /** Before capabilities go: a limit above the present one needs them. */
  function limit(limits: InitPlan['limits']): void {
    for (const [resource, soft, hard] of limits)
      check(c.setrlimit(resource, new BigUint64Array([BigInt(soft), BigInt(hard)])), 'setrlimit');
  }

  function converse(): InitPlan | null {
    fs.writeSync(conversation, 'ready\n');
    const chunks: Buffer[] = [];
    for (;;) {
      const chunk = Buffer.allocUnsafe(65536);
      const size = fs.readSync(conversation, chunk);
      if (size === 0) return null;
      chunks.push(chunk.subarray(0, size));
      if (chunk[size - 1] === 10) return JSON.parse(Buffer.concat(chunks).toString('utf8')) as InitPlan;
    }
  }

  function skipPids(root: string, lastPid: number): void {
    try {
      fs.writeFileSync(`${root}/proc/sys/kernel/ns_last_pid`, String(lastPid));
    } catch {
      // Not built into every kernel, nor everyone's right.
    }
  }

  function mountKernelFiles({ root, sysReadOnly, bootId }: InitPlan): void {
    check(c.mount('proc', `${root}/proc`, 'proc', safe, null), 'mount /proc');
    if (bootId !== undefined) {
      const target = `${root}/proc/sys/kernel/random/boot_id`;
      check(c.mount(bootId, target, null, flag.bind, null), 'mount of the boot ID');
      const flags = flag.remount | flag.bind | flag.readOnly | safe;
      check(c.mount(null, target, null, flags, null), 'remount of the boot ID');
    }
    check(c.mount('mqueue', `${root}/dev/mqueue`, 'mqueue', safe, null), 'mount /dev/mqueue');
    const flags = safe | (sysReadOnly ? flag.readOnly : 0);
    if (c.mount('sysfs', `${root}/sys`, 'sysfs', flags, null) === 0) return;
    // A user namespace that does not own its network namespace gets no sysfs of its own, only the one that is there.
    check(c.mount('/sys', `${root}/sys`, null, flag.bind | flag.recursive, null), 'mount /sys');
    check(c.mount(null, `${root}/sys`, null, flag.remount | flag.bind | flags, null), 'remount /sys');
  }

  /** The old root is stacked on the new one and taken off it (pivot_root(2), "pivot_root(".", ".")"). */
  function enterRoot(root: string): void {
    const pivotRoot = process.arch === 'x64' ? 155 : 41;
    process.chdir(root);
    check(c.syscall2(pivotRoot, '.', '.'), 'pivot_root');
    const detach = 2;
    check(c.umount2('.', detach), 'umount of the old root');
    process.chdir('/');
  }

  function hide({ maskedPaths, readOnlyPaths }: InitPlan): void {
    for (const path of maskedPaths) {
      const stats = fs.statSync(path, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      const result = stats.isDirectory()
        ? c.mount('tmpfs', path, 'tmpfs', flag.readOnly, 'size=4k,nr_inodes=1')
        : c.mount('/dev/null', path, null, flag.bind, null);
      check(result, `mask of ${path}`);
    }
    for (const path of readOnlyPaths) {
      if (fs.statSync(path, { throwIfNoEntry: false }) === undefined) continue;
      check(c.mount(path, path, null, flag.bind | flag.recursive, null), `bind of ${path}`);
      const flags = flag.remount | flag.bind | flag.readOnly | safe;
      check(c.mount(null, path, null, flags, null), `remount of ${path}`);
    }
  }

  function nameHost(hostname: string): void {
    check(c.sethostname(hostname, Buffer.byteLength(hostname)), 'sethostname');
  }

  function raiseLoopback(): void {
    const [getFlags, setFlags, up] = [0x8913, 0x8914, 1];
    const socket = c.socket(2, 2, 0);
    check(socket, 'socket');
    // struct ifreq: 16 bytes of name, then the flags.
    const request = Buffer.alloc(40);
    request.write('lo');
    check(c.ioctlBytes(socket, getFlags, request), 'flags of lo');
    request.writeUInt16LE(request.readUInt16LE(16) | up, 16);
    check(c.ioctlBytes(socket, setFlags, request), 'lo up');
    fs.closeSync(socket);
  }

  /**
   * Opens the terminal anew by its name in the new root, where programs look for it, as the controlling one.
   */
  function takeTerminal(uid: number): void {
    const name = `/dev/pts/${fs.fstatSync(0).rdev & 0xff}`;
    const terminal = fs.openSync(name, fs.constants.O_RDWR | fs.constants.O_NOCTTY);
    for (const fd of [0, 1, 2]) check(c.dup2(terminal, fd), 'dup2 of the terminal');
    fs.fchownSync(0, uid, -1);
    const setControllingTerminal = 0x540e;
    check(c.ioctlBytes(0, setControllingTerminal, Buffer.alloc(4)), 'controlling terminal');
    fs.closeSync(fs.openSync('/dev/console', 'w', 0o600));
    check(c.mount(name, '/dev/console', null, flag.bind, null), '/dev/console');
  }

  /** In this order: seccomp needs CAP_SYS_ADMIN, the bounding set CAP_SETPCAP, groups go before the user. */
  function confine(plan: InitPlan): void {
    process.umask(0o022);
    if (plan.seccomp !== undefined) filterSyscalls(Buffer.from(plan.seccomp, 'base64'));
    const keep = BigInt(plan.capabilities);
    const [readBounding, dropBounding] = [23, 24];
    for (let number = 0; number < 64; number++) {
      // The kernel knows no further ones.
      if (c.prctl(readBounding, number, 0, 0, 0) === -1) break;
      if (((keep >> BigInt(number)) & 1n) === 1n) continue;
      check(c.prctl(dropBounding, number, 0, 0, 0), 'capability bounding set');
    }
    // A user namespace of a single id forbids it (user_namespaces(7)); there are no other groups in it either.
    if (fs.readFileSync('/proc/self/setgroups', 'utf8').trim() !== 'deny') {
      check(c.setgroups(plan.groups.length, Uint32Array.from(plan.groups)), 'setgroups');
    }
    check(c.setresgid(plan.gid, plan.gid, plan.gid), 'setgid');
    check(c.setresuid(plan.uid, plan.uid, plan.uid), 'setuid');
    if (plan.uid === 0) setCapabilities(keep);
  }

  function setCapabilities(mask: bigint): void {
    const version3 = 0x20080522;
    const low = Number(mask & 0xffffffffn);
    const high = Number(mask >> 32n);
    // Two structs of effective, permitted, inheritable.
    check(c.capset(Uint32Array.of(version3, 0), Uint32Array.of(low, low, 0, high, high, 0)), 'capset');
  }

  function filterSyscalls(program: Buffer): void {
    const Filter = koffi.struct({ length: 'uint16_t', program: 'void *' });
    const [setSeccomp, filterMode] = [22, 2];
    const instructions = program.length / 8;
    const argument = koffi.alloc(Filter, 1);
    koffi.encode(argument, Filter, { length: instructions, program });
    check(c.prctlPointer(setSeccomp, filterMode, argument), 'seccomp');
  }

  /** Node ignores SIGPIPE, and execve keeps that. */
  function resetSignals(): void {
    for (let number = 1; number < 32; number++) c.signal(number, null);
    const setMask = 2;
    check(c.sigprocmask(setMask, Buffer.alloc(128), null), 'sigprocmask');
  }

  /** Only standard input, output and error stay open; Node marks even them close-on-exec when it starts. */
  function closeOnExec(): void {
    const setFlags = 2;
    for (const name of fs.readdirSync('/proc/self/fd')) {
      const fd = Number(name);
      c.fcntl(fd, setFlags, fd > 2 ? 1 : 0);
    }
  }
}
