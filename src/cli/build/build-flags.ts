import type { FlagSpec } from '../flags/index.ts';

/** Flags that do something. */
const working: readonly FlagSpec[] = [
  { name: 'add-host', kind: 'csv', help: 'Name a host for RUN (format: "host:ip")' },
  {
    name: 'allow',
    kind: 'list',
    help: 'Grant an entitlement to the Dockerfile: network.host, security.insecure',
  },
  {
    name: 'annotation',
    kind: 'list',
    help: 'Annotate the manifest (key=value), or with a place before a colon: index:, manifest-descriptor:, …',
  },
  {
    name: 'build-arg',
    kind: 'list',
    help: 'Set an ARG (NAME=value, or NAME to take it from the environment)',
  },
  {
    name: 'build-context',
    kind: 'list',
    help: 'Give a name for FROM and --from (NAME=FOLDER, docker-image://, oci-layout://, a URL or a git repository)',
  },
  {
    name: 'cache-from',
    kind: 'list',
    help: 'Take results from there, too (type=registry,ref=NAME; type=local,src=FOLDER; or an image that was pushed with type=inline)',
  },
  {
    name: 'cache-to',
    kind: 'list',
    help: 'Leave results there (type=registry,ref=NAME; type=local,dest=FOLDER; type=inline; with mode=min|max)',
  },
  {
    name: 'call',
    kind: 'string',
    help: 'Look at the Dockerfile instead: "check", "outline" or "targets" (also ",format=json", ",ignorestatus=true")',
  },
  { name: 'check', kind: 'bool', help: 'Run the build checks and build nothing: "--call=check"' },
  {
    name: 'clock',
    kind: 'string',
    help: 'Time that RUN sees: "real" (default), or "frozen" at the epoch (needs libfaketime)',
  },
  {
    name: 'context-modes',
    kind: 'string',
    help: '"exact" keeps group and world bits of context files that only a umask decides',
  },
  {
    name: 'explain-normalize',
    kind: 'bool',
    help: 'List what was taken out of layers of RUN, and by which rule',
  },
  {
    name: 'dry-run',
    kind: 'bool',
    help: 'Say for each step whether its result is in the cache, and why not; execute nothing',
  },
  {
    name: 'file',
    short: 'f',
    kind: 'string',
    help: 'Dockerfile to build from ("-": standard input; default: PATH/Dockerfile)',
  },
  { name: 'iidfile', kind: 'string', help: 'Write the image ID to this file' },
  { name: 'jobs', kind: 'int', help: 'Steps that may run at once' },
  {
    name: 'keep-storage',
    kind: 'bytes',
    help: 'Keep the cache below this after the build, least recently used go first (default: $CAIRN_KEEP_STORAGE)',
  },
  { name: 'label', kind: 'list', help: 'Add a label to the image (name=value)' },
  {
    name: 'lock',
    kind: 'bool',
    help: 'Take base images as the lock file says (Dockerfile.lock), and note there those that it lacks',
  },
  { name: 'lock-file', kind: 'string', help: 'As --lock, with this file' },
  { name: 'load', kind: 'bool', help: 'Keep the image in the store beside other outputs' },
  {
    name: 'metadata-file',
    kind: 'string',
    help: 'Write digests and names of the result to this file, as JSON',
  },
  { name: 'network', kind: 'string', help: 'Network of RUN: "host" (default) or "none"' },
  { name: 'no-cache', kind: 'bool', help: 'Execute every step, whatever is known' },
  { name: 'no-cache-filter', kind: 'csv', help: 'Execute every step of these stages' },
  {
    name: 'no-normalize',
    kind: 'bool',
    help: 'Keep caches, logs and dates that tools write for themselves in layers of RUN',
  },
  {
    name: 'output',
    short: 'o',
    kind: 'list',
    help: 'Where the result goes: a folder, "-", or type=local|tar|oci|docker|image with dest=… (default: the store)',
  },
  {
    name: 'platform',
    kind: 'csv',
    help: 'Platforms to build for (os/architecture[/variant]); several give a list of images',
  },
  {
    name: 'progress',
    kind: 'string',
    help: 'How to show progress: auto, tty, plain, rawjson, quiet (default: $BUILDKIT_PROGRESS, else auto)',
  },
  {
    name: 'pull',
    kind: 'bool',
    help: 'Ask the registries for newer base images',
  },
  { name: 'push', kind: 'bool', help: 'Push the image under its names when it is built' },
  { name: 'quiet', short: 'q', kind: 'bool', help: 'Print nothing but the image ID' },
  {
    name: 'require-cached',
    kind: 'bool',
    help: 'Fail at the first step whose result is not in the cache, and say why it is not',
  },
  {
    name: 'sandbox',
    kind: 'string',
    help: 'What runs RUN: crun, runc or builtin (default: $CAIRN_SANDBOX, else what is installed)',
  },
  {
    name: 'secret',
    kind: 'list',
    help: 'Give RUN a secret ("id=NAME,src=FILE" or "id=NAME,env=VARIABLE")',
  },
  { name: 'squash', kind: 'bool', help: 'Merge everything on the base image into one layer' },
  { name: 'shm-size', kind: 'bytes', help: 'Size of /dev/shm in RUN' },
  {
    name: 'ssh',
    kind: 'list',
    help: 'Give RUN an SSH agent or keys ("default", "NAME=SOCKET" or "NAME=KEY[,KEY]")',
  },
  { name: 'tag', short: 't', kind: 'list', help: 'Name the image ("name:tag"; repeatable)' },
  { name: 'target', kind: 'string', help: 'Stage to build (name or number; default: the last one)' },
  { name: 'ulimit', kind: 'list', help: 'Resource limit of RUN (NAME=SOFT[:HARD])' },
  {
    name: 'verify',
    kind: 'bool',
    help: 'Execute each RUN again in a varied environment, and fail when a layer differs',
  },
  {
    name: 'timestamp',
    kind: 'string',
    help: 'Time of newer files and of the image: seconds since 1970, or "preserve"',
  },
  {
    name: 'visible-cpus',
    kind: 'int',
    help: 'CPUs that commands of RUN count and use (default: all)',
  },
];

/** Docker's flags whose feature is not there yet: refused when given, since the result would differ. */
export const absentFlags: readonly FlagSpec[] = [{ name: 'attest', kind: 'list' }];

/** Absent as well, but asking for "nothing" is fine: `--provenance=false`, `--call build`. */
export const refusedUnlessOff: readonly (FlagSpec & { readonly off: readonly string[] })[] = [
  { name: 'provenance', kind: 'string', off: ['false', '0', ''] },
  { name: 'sbom', kind: 'string', off: ['false', '0', ''] },
];

/** Docker's flags that change nothing about the result: taken and ignored, as BuildKit does with most of them. */
const ignored: readonly FlagSpec[] = [
  { name: 'builder', kind: 'string' },
  { name: 'cgroup-parent', kind: 'string' },
  { name: 'compress', kind: 'bool' },
  { name: 'cpu-period', kind: 'int' },
  { name: 'cpu-quota', kind: 'int' },
  { name: 'cpu-shares', short: 'c', kind: 'int' },
  { name: 'cpuset-cpus', kind: 'string' },
  { name: 'cpuset-mems', kind: 'string' },
  { name: 'debug', short: 'D', kind: 'bool' },
  { name: 'disable-content-trust', kind: 'bool' },
  { name: 'force-rm', kind: 'bool' },
  { name: 'isolation', kind: 'string' },
  { name: 'memory', short: 'm', kind: 'bytes' },
  { name: 'memory-swap', kind: 'bytes' },
  { name: 'rm', kind: 'bool' },
  { name: 'security-opt', kind: 'list' },
];

/** Everything that `docker build` and `docker buildx build` take. */
export const buildFlags: readonly FlagSpec[] = [
  ...working,
  ...absentFlags,
  ...refusedUnlessOff.map(({ name, kind }) => ({ name, kind })),
  ...ignored,
];
