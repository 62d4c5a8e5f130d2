// Builds a context without a Dockerfile's RUN into a store, in a process of its own: build-once.ts STORE CONTEXT
import { build } from '../../src/builder/index.ts';
import { openStore } from '../../src/store/index.ts';

const [root = '', path = ''] = process.argv.slice(2);
const store = openStore({ root, now: () => Date.now() });
try {
  await build({ store, context: { kind: 'dir', path }, now: () => Date.now() });
} finally {
  store.close();
}
