import type { BuildOptions } from './contracts.ts';
import { SecretSources } from './mounts/secret-sources.ts';
import { SshSources } from './mounts/ssh-sources.ts';
import { RemoteSources } from './remote/remote-sources.ts';

/** What a build reaches beyond its Dockerfile and local files. */
export interface BuildAccess {
  readonly secrets: SecretSources;
  readonly ssh: SshSources;
  readonly remote: RemoteSources;
  /** Ends what was started and lets go of what was fetched. */
  close(): void;
}

/** @throws {CairnError} SECRET_INVALID, SSH_INVALID */
export function openBuildAccess(options: BuildOptions, signal: AbortSignal): BuildAccess {
  const { store, hostEnv: env = {}, now = () => 0 } = options;
  const secrets = new SecretSources(options.secrets);
  const ssh = new SshSources({ sources: options.ssh ?? {}, env, scratch: () => store.scratch() });
  const credentials = {
    secret: (id: string) => secrets.read(id),
    sshSocket: () => ssh.socketOf('default'),
  };
  const remote = new RemoteSources({ store, env, credentials, signal, now });
  const close = () => {
    remote.close();
    ssh.close();
  };
  return { secrets, ssh, remote, close };
}
