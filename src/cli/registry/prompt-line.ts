import type { Host } from '../host.ts';

/** Asks for a line on the terminal. A secret one is not echoed. */
export async function promptLine(host: Host, question: string, isEchoed: boolean): Promise<string> {
  host.stderr.write(question);
  const { createInterface } = await import('node:readline/promises');
  const { Writable } = await import('node:stream');
  // readline echoes into its output: for a secret that is nowhere.
  const output = isEchoed
    ? host.stderr.stream()
    : new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  try {
    return (await lines.question('', { signal: host.signal })).trim();
  } finally {
    lines.close();
    if (!isEchoed) host.stderr.write('\n');
  }
}
