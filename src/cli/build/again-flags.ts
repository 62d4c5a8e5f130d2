import { type BuildAgainOptions, contextOf, namedContextOf } from '../../builder/index.ts';
import type { Invocation } from '../command.ts';
import type { FlagSpec } from '../flags/index.ts';
import type { OpenStore } from '../open-store.ts';
import { buildArgsOf, entitlementOf, sandboxOf } from './build-options.ts';
import { secretsOf, sshOf } from './secret-flags.ts';

/** Flags of verbs that build from a build record: what the record does not hold, or may not grant. */
export const againFlags: readonly FlagSpec[] = [
  {
    name: 'allow',
    kind: 'list',
    help: 'Grant an entitlement to the Dockerfile: network.host, security.insecure',
  },
  { name: 'build-arg', kind: 'list', help: 'Give an ARG whose value the record leaves out (NAME=value)' },
  {
    name: 'build-context',
    kind: 'list',
    help: 'Give a named context of the build again (NAME=FOLDER, oci-layout://…)',
  },
  { name: 'format', kind: 'string', help: '"json": the report as JSON' },
  { name: 'jobs', kind: 'int', help: 'Steps that may run at once' },
  { name: 'quiet', short: 'q', kind: 'bool', help: 'Print the verdict only' },
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
  {
    name: 'ssh',
    kind: 'list',
    help: 'Give RUN an SSH agent or keys ("default", "NAME=SOCKET" or "NAME=KEY[,KEY]")',
  },
];

/** @param context - PATH or URL of the build context. @throws {UsageError} */
export function againOptions(
  { flags, host }: Invocation,
  store: OpenStore,
  context: string,
): BuildAgainOptions {
  const sandbox = sandboxOf(flags.text('sandbox') ?? host.env.CAIRN_SANDBOX);
  const jobs = flags.int('jobs');
  return {
    store,
    context: contextOf(context),
    allow: flags.list('allow').map(entitlementOf),
    buildArgs: buildArgsOf(flags.list('build-arg'), host.env),
    namedContexts: Object.fromEntries(
      flags.list('build-context').map((text) => {
        const { name, source } = namedContextOf(text);
        return [name, source];
      }),
    ),
    secrets: secretsOf(flags.list('secret'), host),
    ssh: sshOf(flags.list('ssh'), host),
    hostEnv: host.env,
    ...(host.enterNamespace === null ? {} : { canMount: false }),
    now: host.now,
    signal: host.signal,
    ...(sandbox ? { sandbox } : {}),
    ...(jobs === undefined ? {} : { jobs }),
  };
}
