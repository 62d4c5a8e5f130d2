// A process of its own that builds: `build-program.ts OPTIONS` with the options of BuildBench.build as JSON, `root` and `lines` among
// them. What RUN steps print goes to standard output as it comes. Exit code 1 when the build fails.
import { build } from '../../src/builder/index.ts';
import { openStore } from '../../src/store/index.ts';

const { root, lines, ...options } = JSON.parse(process.argv[2] ?? '{}');
const store = openStore({ root, now: () => Date.now() });
try {
  await build({
    store,
    context: { kind: 'empty' },
    dockerfile: { kind: 'text', name: 'Dockerfile', text: `${lines.join('\n')}\n` },
    hostEnv: { PATH: process.env.PATH },
    now: () => Date.now(),
    ...options,
    onEvent: (event) => {
      if (event.type === 'step-output') process.stdout.write(event.chunk);
    },
  });
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  store.close();
}
