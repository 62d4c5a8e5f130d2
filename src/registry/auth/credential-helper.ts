import { spawn } from 'node:child_process';
import * as v from 'valibot';
import { CairnError } from '../../errors/index.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const maxOutputBytes = 1 << 20;
const answerSchema = v.object({ Username: v.string(), Secret: v.string() });

/**
 * A program `docker-credential-NAME` (its protocol: an operation as argument, one document on standard input, one on
 * standard output).
 */
export class CredentialHelper {
  readonly name: string;
  readonly #env: Environment;

  constructor(name: string, env: Environment) {
    this.name = name;
    this.#env = env;
  }

  /** @returns null when it has nothing for that server. @throws {CairnError} CREDENTIALS_FAILED */
  async get(server: string): Promise<{ readonly username: string; readonly secret: string } | null> {
    const { code, stdout, stderr } = await this.#run('get', server);
    if (code !== 0) {
      if (/credentials not found/i.test(stdout)) return null;
      throw this.#failed('get', stdout || stderr);
    }
    try {
      const { Username: username, Secret: secret } = v.parse(answerSchema, JSON.parse(stdout));
      return { username, secret };
    } catch {
      // The output is a secret: it is not shown, not even as a cause.
      throw this.#failed('get', 'its output cannot be read');
    }
  }

  /** @throws {CairnError} CREDENTIALS_FAILED */
  async store(
    server: string,
    { username, secret }: { readonly username: string; readonly secret: string },
  ): Promise<void> {
    const document = JSON.stringify({ ServerURL: server, Username: username, Secret: secret });
    const { code, stdout, stderr } = await this.#run('store', document);
    if (code !== 0) throw this.#failed('store', stdout || stderr);
  }

  /** @throws {CairnError} CREDENTIALS_FAILED */
  async erase(server: string): Promise<void> {
    const { code, stdout, stderr } = await this.#run('erase', server);
    if (code !== 0 && !/credentials not found/i.test(stdout)) throw this.#failed('erase', stdout || stderr);
  }

  #run(operation: string, input: string): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn(`docker-credential-${this.name}`, [operation], { env: { ...this.#env } });
      const stdout: Buffer[] = [];
      const stderr: Buffer[] = [];
      let size = 0;
      const keep = (chunks: Buffer[]) => (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxOutputBytes) child.kill();
        else chunks.push(chunk);
      };
      child.stdout.on('data', keep(stdout));
      child.stderr.on('data', keep(stderr));
      child.on('error', (error: NodeJS.ErrnoException) =>
        reject(
          this.#failed(operation, error.code === 'ENOENT' ? 'the program is not installed' : error.message),
        ),
      );
      child.on('close', (code) =>
        resolve({
          code: code ?? 1,
          stdout: Buffer.concat(stdout).toString('utf8').trim(),
          stderr: Buffer.concat(stderr).toString('utf8').trim(),
        }),
      );
      // A helper that does not read its input (erase) closes the pipe: its exit code tells.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
    });
  }

  #failed(operation: string, why: string): CairnError {
    return new CairnError('CREDENTIALS_FAILED', {
      message: `docker-credential-${this.name} ${operation} failed: ${why.slice(0, 500)}`,
      help: 'credsStore and credHelpers in the config.json of Docker name the helpers',
    });
  }
}
