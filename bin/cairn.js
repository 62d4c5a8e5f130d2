#!/usr/bin/env node
const { join } = require('node:path');
const { loadScript } = require('./load-script.js');

let command;
try {
  command = loadScript(join(__dirname, '../dist/cli.cjs'));
} catch (error) {
  if (error.code !== 'ENOENT') throw error;
  // A checkout installed with `--ignore-scripts` has not run `prepare`.
  process.stderr.write('cairn: dist/ is missing; run "npm run build" in the checkout\n');
  process.exit(1);
}
command.run();
