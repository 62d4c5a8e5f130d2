import type { Command } from './command.ts';

/** A verb in a list of commands; its code is loaded when it is used. */
export interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** A noun with verbs of its own: `image ls`. */
export interface Group {
  readonly name: string;
  readonly summary: string;
  readonly verbs: readonly Verb[];
  /** Other spellings of its verbs: `rm` also as `remove`. */
  readonly aliases?: Readonly<Record<string, string>>;
}

const build = verb('build', 'Build an image from a Dockerfile', () => import('./commands/build.ts'));
const copy = verb(
  'copy',
  'Copy an image between registries, layouts, archives and the store',
  () => import('./commands/copy.ts'),
);
const fsck = verb('fsck', 'Verify every byte of the store', () => import('./commands/fsck.ts'));
const history = verb('history', 'Show how an image was made', () => import('./commands/history.ts'));
const images = verb('images', 'List images', () => import('./commands/images.ts'));
const importImage = verb(
  'import',
  'Make an image from a tar of a file system',
  () => import('./commands/import.ts'),
);
const info = verb('info', 'Describe the store and this machine', () => import('./commands/info.ts'));
const inspect = verb('inspect', 'Show everything known about images', () => import('./commands/inspect.ts'));
const load = verb(
  'load',
  'Load images from an archive or standard input',
  () => import('./commands/load.ts'),
);
const login = verb('login', 'Log in to a registry', () => import('./commands/login.ts'));
const logout = verb('logout', 'Forget the credentials of a registry', () => import('./commands/logout.ts'));
const pull = verb(
  'pull',
  'Bring an image from a registry into the store',
  () => import('./commands/pull.ts'),
);
const prove = verb(
  'prove',
  'Build an image again from its build record, and compare',
  () => import('./commands/prove.ts'),
);
const push = verb('push', 'Send an image to a registry', () => import('./commands/push.ts'));
const remove = verb('rmi', 'Remove images', () => import('./commands/rmi.ts'));
const run = verb('run', 'Run a command in a new container', () => import('./commands/run.ts'));
const save = verb(
  'save',
  'Write images to an archive or standard output',
  () => import('./commands/save.ts'),
);
const search = verb('search', 'Search a registry for images', () => import('./commands/search.ts'));
const tag = verb('tag', 'Give an image another name', () => import('./commands/tag.ts'));
const verify = verb(
  'verify',
  'Execute each RUN of an image again, and name what differs',
  () => import('./commands/verify.ts'),
);
const version = verb('version', 'Show version information', () => import('./commands/version.ts'));

export const verbs: readonly Verb[] = [
  build,
  copy,
  fsck,
  history,
  images,
  importImage,
  info,
  inspect,
  load,
  login,
  logout,
  prove,
  pull,
  push,
  remove,
  run,
  save,
  search,
  tag,
  verify,
  version,
];

export const groups: readonly Group[] = [
  {
    name: 'builder',
    summary: 'Build, and manage the build cache',
    verbs: [build, verb('prune', 'Remove build cache', () => import('./commands/builder-prune.ts'))],
  },
  {
    name: 'buildx',
    summary: 'The same, by the name that Docker gave it',
    verbs: [build, verb('prune', 'Remove build cache', () => import('./commands/builder-prune.ts'))],
    aliases: { b: 'build' },
  },
  {
    name: 'cache',
    summary: 'Look into the build cache',
    verbs: [
      verb('ls', 'List cached results of build steps', () => import('./commands/cache-ls.ts')),
      verb(
        'why',
        'Say why a step was executed, and what its result depends on',
        () => import('./commands/cache-why.ts'),
      ),
    ],
    aliases: { list: 'ls' },
  },
  { name: 'container', summary: 'Run containers', verbs: [run] },
  {
    name: 'image',
    summary: 'Manage images',
    verbs: [
      build,
      history,
      importImage,
      verb('inspect', 'Show everything known about images', () => import('./commands/image-inspect.ts')),
      load,
      { ...images, name: 'ls' },
      verb('prune', 'Remove images that nothing uses', () => import('./commands/image-prune.ts')),
      pull,
      push,
      { ...remove, name: 'rm' },
      save,
      tag,
    ],
    aliases: { list: 'ls', remove: 'rm' },
  },
  {
    name: 'ignore',
    summary: 'Look into ignore files',
    verbs: [
      verb(
        'explain',
        'Say why paths are, or are not, in a build context',
        () => import('./commands/ignore-explain.ts'),
      ),
    ],
  },
  {
    name: 'lock',
    summary: 'Look after lock files',
    verbs: [verb('update', 'Lock what names of images mean now', () => import('./commands/lock.ts'))],
  },
  {
    name: 'manifest',
    summary: 'Look at manifests in registries',
    verbs: [
      verb(
        'inspect',
        'Show a manifest, or list of manifests, as a registry has it',
        () => import('./commands/manifest-inspect.ts'),
      ),
    ],
  },
  {
    name: 'system',
    summary: 'Look after the store',
    verbs: [
      verb('df', 'Show what takes space', () => import('./commands/system-df.ts')),
      info,
      verb('prune', 'Remove everything that nothing uses', () => import('./commands/system-prune.ts')),
    ],
  },
];

function verb(name: string, summary: string, load: () => Promise<{ readonly command: Command }>): Verb {
  return { name, summary, load: async () => (await load()).command };
}

/** Docker's verbs that Cairn does not have yet: an answer that is better than "unknown". */
export const absentVerbs: Readonly<Record<string, string>> = {
  commit:
    'an image that nobody can explain is what Cairn replaces: write the change as a Dockerfile and "cairn build" it',
  ps: 'containers are not kept: "cairn run" runs one in the foreground',
  exec: 'containers are not kept: "cairn run" runs one in the foreground',
};
