import type { Cause } from './cause.ts';

interface Advice {
  /** Of the path or the command; every one when absent. */
  readonly when?: RegExp;
  readonly fix: string;
}

const advice: Readonly<Record<Cause, readonly Advice[]>> = {
  clock: [
    {
      when: /\bdate\b/,
      fix: 'date -u -d "@$SOURCE_DATE_EPOCH" (busybox: date -u -D %s -d "$SOURCE_DATE_EPOCH")',
    },
    {
      when: /\bpython|\.py\b/,
      fix: 'take the time from os.environ["SOURCE_DATE_EPOCH"], not from time.time()',
    },
    { fix: 'take the time from $SOURCE_DATE_EPOCH, leave it out, or build with --clock frozen' },
  ],
  randomness: [
    {
      when: /ssh_host_|ssh-keygen/,
      fix: 'rm -f /etc/ssh/ssh_host_*, and make the keys when the container starts',
    },
    { when: /machine-id/, fix: 'truncate -s 0 /etc/machine-id' },
    {
      when: /\.(?:pem|key|crt|csr)\b|openssl/,
      fix: 'make keys and certificates when the container starts, or COPY them in',
    },
    { when: /\bpython|\.py\b|\bpip\b/, fix: 'PYTHONHASHSEED=0, and a seed: random.seed(0)' },
    { when: /\bperl\b|\.p[lm]\b/, fix: 'PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0' },
    { when: /\bshuf\b|sort -R/, fix: 'shuf --random-source=FILE with a fixed file' },
    { fix: 'use a fixed seed, or make the value when the container starts' },
  ],
  'host-name': [{ fix: 'write a fixed name in place of $(hostname)' }],
  'cpu-count': [{ fix: 'give a fixed number in place of $(nproc), or build with --visible-cpus N' }],
  'process-ids': [{ fix: 'use a fixed name in place of $$ and $!' }],
  'directory-order': [{ fix: 'sort: find … | LC_ALL=C sort; ls without -U; sorted(os.listdir(…))' }],
  umask: [{ fix: 'set it in the command: umask 022' }],
  'store-path': [{ fix: 'do not keep what /proc/mounts or /proc/self/mountinfo say' }],
  'temporary-name': [{ fix: 'use a fixed path in place of mktemp, and remove it in the same RUN' }],
  addresses: [{ fix: 'do not print or sort by addresses (%p, id(), default hashCode)' }],
  'hash-order': [
    { when: /\bpython|\.py\b/, fix: 'PYTHONHASHSEED=0, or sorted(…)' },
    { when: /\bperl\b|\.p[lm]\b/, fix: 'PERL_HASH_SEED=0, or sort keys' },
    {
      when: /make -j|-P ?\d|parallel|&/,
      fix: 'one after the other: make -j1, xargs -P1; or sort the output',
    },
    { fix: 'sort the output: LC_ALL=C sort' },
  ],
  network: [
    { when: /git (?:clone|pull|fetch)/, fix: 'git checkout COMMIT, or ADD https://…/repository.git#COMMIT' },
    {
      when: /\bapt(?:-get)?\b/,
      fix: 'install fixed versions (package=version) from a snapshot of the archive',
    },
    {
      when: /\bpip\b|\bnpm\b|\byarn\b|\bgem\b|\bcargo\b|\bgo \b/,
      fix: 'install from a lock file with hashes (pip --require-hashes, npm ci)',
    },
    { fix: 'ADD --checksum=sha256:… URL in place of a download in RUN' },
  ],
  inodes: [{ fix: 'do not keep inode numbers (stat %i, tar --listed-incremental)' }],
  environment: [{ fix: 'look at what the command reads besides its inputs' }],
};

/** The line that would make a result the same each time. @param hints - path of the file and text of the command */
export function fixFor(cause: Cause, ...hints: readonly string[]): string {
  const text = hints.join('\n');
  const found = advice[cause].find(({ when }) => when === undefined || when.test(text));
  return found?.fix ?? '';
}
