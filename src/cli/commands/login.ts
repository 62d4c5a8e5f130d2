import { CairnError } from '../../errors/index.ts';
import type { Registries } from '../../registry/index.ts';
import { type Command, type Invocation, UsageError } from '../command.ts';
import type { Host } from '../host.ts';
import { promptLine } from '../registry/prompt-line.ts';
import { registryName } from '../registry/registry-name.ts';
import { withRegistries } from '../registry/with-registries.ts';

export const command: Command = {
  usage: '[OPTIONS] [SERVER]',
  summary: 'Log in to a registry',
  args: { min: 0, max: 1 },
  flags: [
    { name: 'password', short: 'p', kind: 'string', help: 'Password or access token' },
    { name: 'password-stdin', kind: 'bool', help: 'Read the password from standard input' },
    { name: 'username', short: 'u', kind: 'string', help: 'User name' },
  ],
  run: (invocation) => withRegistries(invocation.host, (registries) => login(invocation, registries)),
};

async function login({ host, flags, args: [server] }: Invocation, registries: Registries): Promise<number> {
  const registry = registryName(server);
  const given = { username: flags.text('username'), password: flags.text('password') };
  if (given.password !== undefined)
    host.stderr.write('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
  if (flags.bool('password-stdin')) {
    if (given.password !== undefined)
      throw new UsageError('conflicting options: cannot specify both --password and --password-stdin');
    if (!given.username) throw new UsageError('the --password-stdin option requires --username to be set');
    given.password = await passwordFromInput(host);
  }
  const { checkLogin } = await import('../../registry/index.ts');
  const username = given.username || (await ask(host, `Username: `, true));
  const password = given.password || (await ask(host, 'Password: ', false));
  const secret = await checkLogin(registries, registry, { username, password }, host.signal);
  const { helper } = await registries.credentials.save(registry, username, secret);
  if (helper === null)
    host.stderr.write(
      `\nWARNING! Your credentials are stored unencrypted in '${registries.credentials.path}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n`,
    );
  host.stdout.write('Login Succeeded\n');
  return 0;
}

/** Everything on standard input, less the line end. */
async function passwordFromInput(host: Host): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of host.stdin.chunks()) chunks.push(chunk);
  const password = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (password === '') throw new CairnError('USAGE', { message: 'password is empty' });
  return password;
}

async function ask(host: Host, question: string, isEchoed: boolean): Promise<string> {
  if (!host.stdin.isTty)
    throw new CairnError('USAGE', {
      message: 'Cannot perform an interactive login from a non TTY device',
      help: 'give --username and pipe the password into --password-stdin',
    });
  const answer = await promptLine(host, question, isEchoed);
  if (answer === '') throw new CairnError('USAGE', { message: `${question.slice(0, -2)} cannot be empty` });
  return answer;
}
