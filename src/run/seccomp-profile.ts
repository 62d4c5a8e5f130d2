// Docker's default seccomp policy as data: what a container may call, grouped by purpose. Names are those of Linux on all
// architectures together; a runtime skips names that its architecture or its libseccomp does not know.

/** A further condition on one argument of a call. */
export type ArgumentTest =
  | { readonly argument: number; readonly is: number }
  | { readonly argument: number; readonly isNot: number }
  /** All bits of `mask` must be zero. */
  | { readonly argument: number; readonly lacksBits: number };

/** Calls that are let through (when `test` holds); one call may have several rules. */
export interface SyscallRule {
  readonly names: readonly string[];
  readonly test?: ArgumentTest;
}

const files = `
  access chdir chmod chown chown32 chroot close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
  fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync flock
  fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 ioctl
  lchown lchown32 link linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat
  open openat openat2 readahead readlink readlinkat rename renameat renameat2 rmdir sendfile sendfile64 splice stat stat64
  statfs statfs64 statx symlink symlinkat sync sync_file_range sync_file_range2 syncfs tee truncate truncate64 umask unlink
  unlinkat utime utimensat utimensat_time64 utimes vmsplice cachestat
  fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr lremovexattr lsetxattr removexattr
  setxattr getxattrat listxattrat removexattrat setxattrat
  fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
  landlock_add_rule landlock_create_ruleset landlock_restrict_self`;

const transfer = `
  pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readv write writev
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
  _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select
  io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit`;

const network = `
  accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
  send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair`;

const processes = `
  execve execveat exit exit_group fork vfork wait4 waitid waitpid getcpu getpgid getpgrp getpid getppid getsid gettid
  setpgid setsid kill pause pidfd_open pidfd_send_signal prctl process_mrelease ptrace process_vm_readv process_vm_writev
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigprocmask sigreturn
  tgkill tkill restart_syscall seccomp uname sysinfo
  getpriority setpriority getrlimit ugetrlimit setrlimit prlimit64 getrusage times ioprio_get ioprio_set
  sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
  sched_yield get_robust_list set_robust_list get_thread_area set_thread_area set_tid_address rseq membarrier
  futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue arch_prctl modify_ldt
  arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls`;

const identity = `
  capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 getresuid
  getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid
  setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32`;

const memory = `
  brk madvise memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap mseal msync munlock
  munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages map_shadow_stack getrandom`;

const time = `
  adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
  timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
  timerfd_gettime64 timerfd_settime timerfd_settime64`;

const interprocess = `
  ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
  msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget`;

const namespaceBits = 0x7e020000;
const vsock = 40;

/** Allowed calls; any other one fails with EPERM. */
export const allowedSyscalls: readonly SyscallRule[] = [
  {
    names: [files, transfer, network, processes, identity, memory, time, interprocess].flatMap((group) =>
      group.trim().split(/\s+/),
    ),
  },
  // Sockets to the hypervisor are not covered by any namespace.
  { names: ['socket'], test: { argument: 0, isNot: vsock } },
  // The plain Linux personalities, without and with ADDR_COMPAT (UNAME26, PER_LINUX32), and the query.
  ...[0x0, 0x8, 0x20000, 0x20008, 0xffffffff].map((persona) => ({
    names: ['personality'],
    test: { argument: 0, is: persona },
  })),
  // No new namespaces: a user namespace would give back every capability.
  { names: ['clone'], test: { argument: 0, lacksBits: namespaceBits } },
];

/** Calls that say that the kernel lacks them, so that libc falls back to an older one that can be checked. */
export const missingSyscalls: readonly string[] = ['clone3'];

/** EPERM and ENOSYS, the same on all architectures here. */
export const deniedErrno = 1;
export const missingErrno = 38;

/** 32-bit companions of an architecture, which a 64-bit kernel may run too. */
export const seccompArchitectures: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  riscv64: ['SCMP_ARCH_RISCV64'],
};
