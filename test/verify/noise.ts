import type { Cause } from '../../src/builder/verify/cause.ts';

/** A source of noise, injected into a RUN: what `cairn verify` must say about the file that it writes. */
export interface Noise {
  readonly name: string;
  readonly base: 'busybox' | 'debian:12';
  /** A command of /bin/sh that writes below /out. */
  readonly command: string;
  /** Absent for a command whose result must not be called different. */
  readonly cause?: Cause;
  /** What the first differing path or a detail of it must say. */
  readonly says?: RegExp;
  /** Part of the slice that runs always. */
  readonly isQuick?: boolean;
}

const busybox = (
  name: string,
  command: string,
  rest: Omit<Noise, 'name' | 'base' | 'command'> = {},
): Noise => ({
  name: `busybox: ${name}`,
  base: 'busybox',
  command,
  ...rest,
});
const debian = (
  name: string,
  command: string,
  rest: Omit<Noise, 'name' | 'base' | 'command'> = {},
): Noise => ({
  name: `debian: ${name}`,
  base: 'debian:12',
  command,
  ...rest,
});

const perlHash = `perl -e 'my %h = map { $_ => 1 } 1 .. 40; print join("\\n", keys %h), "\\n"'`;

export const noises: readonly Noise[] = [
  busybox('a date as text', 'date > /out/f', { cause: 'clock', says: /line 1/, isQuick: true }),
  busybox('seconds since 1970', 'date +%s > /out/f', { cause: 'clock', isQuick: true }),
  busybox('an ISO time within text', 'echo "built at $(date -Iseconds) ok" > /out/f', { cause: 'clock' }),
  busybox('an RFC 2822 time', 'date -R > /out/f', { cause: 'clock' }),
  busybox('a compact time', 'date +%Y%m%d%H%M%S > /out/f', { cause: 'clock' }),
  busybox('a time of day', 'date +%T > /out/f', { cause: 'clock' }),
  busybox('a digest of the time', 'date | sha256sum > /out/f', { cause: 'clock', isQuick: true }),
  busybox('a file named by the time', 'touch /out/log-$(date +%s)', { cause: 'clock', says: /new layer/ }),
  busybox('a link to the time', 'ln -s $(date +%Y-%m-%dT%H:%M:%S) /out/f', {
    cause: 'clock',
    says: /link target/,
  }),
  busybox(
    'a gzip of a file',
    'echo a > /out/a && gzip -c /out/a > /out/b.gz; touch /out/c; date +%s | gzip > /out/f.gz',
    {
      cause: 'clock',
      says: /gzip/,
    },
  ),
  busybox(
    'a tar of new files',
    'mkdir /tmp/t && echo a > /tmp/t/a && tar cf /out/f.tar -C /tmp t && rm -r /tmp/t',
    {
      cause: 'clock',
      says: /tar member .*modification time/,
      isQuick: true,
    },
  ),
  busybox(
    'a compressed tar of new files',
    'mkdir /tmp/t && echo a > /tmp/t/a && tar czf /out/f.tgz -C /tmp t && rm -r /tmp/t',
    {
      cause: 'clock',
      says: /inside the gzip: tar member/,
    },
  ),
  busybox('times of files by ls', 'touch /out/a && ls -l --full-time /out/a > /out/f', { cause: 'clock' }),
  busybox('times of files by stat', 'touch /out/a && stat -c %Y /out/a > /out/f', { cause: 'clock' }),
  busybox('the uptime', 'cut -d. -f1 /proc/uptime > /out/f', { cause: 'clock' }),
  busybox('random bytes', 'head -c 16 /dev/urandom > /out/f', { cause: 'randomness', isQuick: true }),
  busybox('random hex digits', 'head -c 16 /dev/urandom | md5sum > /out/f', { cause: 'randomness' }),
  busybox('a UUID of the kernel', 'cat /proc/sys/kernel/random/uuid > /out/f', { cause: 'randomness' }),
  busybox('shuffled lines', 'seq 100 | shuf > /out/f', { cause: 'randomness', says: /another order/ }),
  busybox(
    'a random size',
    'head -c $(( ($(od -An -N2 -tu2 /dev/urandom) % 30000) + 1 )) /dev/zero > /out/f',
    {
      cause: 'randomness',
      says: /size|end of file/,
    },
  ),
  busybox(
    'a random mode',
    'touch /out/f && chmod 0$(( 0x$(head -c1 /dev/urandom | od -An -tx1 | tr -d " ") % 7 + 1 ))$(( 0x$(head -c1 /dev/urandom | od -An -tx1 | tr -d " ") % 7 + 1 ))$(( 0x$(head -c1 /dev/urandom | od -An -tx1 | tr -d " ") % 7 + 1 )) /out/f',
    {
      cause: 'randomness',
      says: /mode/,
    },
  ),
  busybox('a random owner', 'touch /out/f && chown $(od -An -N2 -tu2 /dev/urandom | tr -d " ") /out/f', {
    cause: 'randomness',
    says: /owner/,
  }),
  busybox('a temporary folder that stays', 'mktemp -d /tmp/build.XXXXXX', { cause: 'temporary-name' }),
  busybox('the name of a temporary file', 'f=$(mktemp) && echo $f > /out/f && rm $f', {
    cause: 'temporary-name',
    isQuick: true,
  }),
  busybox('the host name', 'hostname > /out/f', { cause: 'host-name', isQuick: true }),
  busybox('the host name of uname', 'uname -n > /out/f', { cause: 'host-name' }),
  busybox('the host name in a setting', 'echo "server = $(cat /proc/sys/kernel/hostname);" > /out/f', {
    cause: 'host-name',
  }),
  busybox('the host name in /etc/hosts', 'cp /etc/hosts /out/f', { cause: 'host-name' }),
  busybox('a digest of the host name', 'hostname | sha256sum > /out/f', { cause: 'host-name' }),
  busybox('a file named by the host', 'touch /out/$(hostname).conf', { cause: 'host-name' }),
  busybox('the number of CPUs', 'nproc > /out/f', { cause: 'cpu-count', isQuick: true }),
  busybox('a file for each CPU', 'for i in $(seq $(nproc)); do touch /out/cpu$i; done', {
    cause: 'cpu-count',
  }),
  busybox('a process ID', 'sh -c "echo \\$\\$" > /out/f; true', { cause: 'process-ids', isQuick: true }),
  busybox('a file named by a process ID', "sh -c 'touch /out/run.$$'; true", { cause: 'process-ids' }),
  busybox('the mounts', 'cat /proc/mounts > /out/f', { cause: 'store-path' }),
  busybox('the mounts of a process', 'cat /proc/self/mountinfo > /out/f', { cause: 'store-path' }),
  debian('a date by perl', "perl -e 'print scalar localtime' > /out/f", { cause: 'clock' }),
  debian('nanoseconds', 'date +%s%N > /out/f', { cause: 'clock' }),
  debian('a month only', 'date +%B > /out/f', { cause: 'clock' }),
  debian('a log line', 'echo "$(date "+%b %d %H:%M:%S") started" > /out/f', { cause: 'clock' }),
  debian('a gzip with a time', 'echo a > /out/a && gzip -k /out/a', {
    cause: 'clock',
    says: /gzip header, modification time/,
  }),
  debian(
    'a tar with PAX times',
    'mkdir /tmp/t && echo a > /tmp/t/a && tar --format=pax -cf /out/f.tar -C /tmp t && rm -r /tmp/t',
    {
      cause: 'clock',
      says: /PAX|modification time/,
    },
  ),
  debian('the order of a hash', `${perlHash} > /out/f`, { cause: 'randomness', says: /order|line/ }),
  debian('random numbers of bash, seeded by the clock', "bash -c 'echo $RANDOM $RANDOM $RANDOM' > /out/f", {
    cause: 'clock',
  }),
  debian('a random number of perl', "perl -e 'print rand' > /out/f", { cause: 'randomness' }),
  debian('the host name by perl', "perl -MSys::Hostname -e 'print hostname' > /out/f", {
    cause: 'host-name',
  }),
  debian('the number of CPUs', 'nproc > /out/f', { cause: 'cpu-count' }),
  debian('a process ID of perl', "perl -e 'print $$' > /out/f; true", { cause: 'process-ids' }),
  debian('a name of mktemp', 'mktemp -u > /out/f', { cause: 'temporary-name' }),
];

/** Commands whose results are the same everywhere: no false alarm. */
export const cleanCommands: readonly Noise[] = [
  busybox('text', 'echo hello > /out/f', { isQuick: true }),
  busybox('the environment', 'env > /out/f', { isQuick: true }),
  busybox(
    'folders with modes and owners',
    'mkdir -p /out/a/b && touch /out/a/c && chmod 700 /out/a && chown 7:8 /out/a/b',
  ),
  busybox('a sorted list', 'find /bin | sort > /out/f'),
  busybox('a file that is removed again', 'date > /tmp/x && rm /tmp/x'),
  busybox('the time of SOURCE_DATE_EPOCH', 'date -u -D %s -d "$SOURCE_DATE_EPOCH" > /out/f', {
    isQuick: true,
  }),
  busybox('the umask', 'umask > /out/f; touch /out/g'),
  busybox('the boot ID', 'cat /proc/sys/kernel/random/boot_id > /out/f'),
  debian('the environment', 'env > /out/f'),
  debian('a gzip without time', 'echo a | gzip -n > /out/f.gz'),
  debian(
    'a tar as it should be',
    'mkdir /tmp/t && echo a > /tmp/t/a && tar --sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner -cf /out/f.tar -C /tmp t && rm -r /tmp/t',
  ),
  debian('the root of the file system', 'ls -a / > /out/f'),
  debian('a tar of files of the base', 'tar cf /out/f.tar /etc/passwd /etc/debian_version'),
  debian('a user', 'useradd -m someone'),
  debian('shared libraries', 'ldconfig && ls /etc | sort > /out/f'),
];
