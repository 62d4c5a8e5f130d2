#!/usr/bin/env node
import { existsSync } from 'node:fs';

const entry = new URL('../dist/cli.js', import.meta.url);
if (!existsSync(entry)) {
  // A checkout installed with `--ignore-scripts` has not run `prepare`.
  process.stderr.write('cairn: dist/ is missing; run "npm run build" in the checkout\n');
  process.exit(1);
}
await import(entry.href);
