// node cache-code.cjs SCRIPT FOLDER: runs common commands of the bundled command line in a store in FOLDER, then writes V8's code
// cache of SCRIPT beside it, with every function that they used.
const { mkdirSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { loadScript } = require('../bin/load-script.js');

const [path, folder] = process.argv.slice(2);
const context = join(folder, 'context');
mkdirSync(join(context, 'folder'), { recursive: true });
writeFileSync(join(context, 'folder/file'), 'content\n');
writeFileSync(
  join(context, 'Dockerfile'),
  [
    'FROM scratch AS base',
    'ARG NAME=value',
    'ENV NAME=$NAME',
    'WORKDIR /app',
    'COPY folder ./',
    'FROM base',
    'LABEL a=b',
    'USER 1000:1000',
    'COPY --from=base /app/file /other',
    'CMD ["/other"]',
    '',
  ].join('\n'),
);

const build = ['build', '-t', 'warm', context];
const commands = [
  build,
  build,
  ['images'],
  ['image', 'inspect', 'warm'],
  ['save', '-o', join(folder, 'warm.tar'), 'warm'],
  ['load', '-i', join(folder, 'warm.tar')],
];

const { script, run } = loadScript(path);

/** Each command ends where the command line would leave the process; what one that failed has used counts too. */
function next() {
  const argv = commands.shift();
  if (argv === undefined) {
    writeFileSync(`${path}.cache`, script.createCachedData());
    exit(0);
  }
  process.argv = [process.execPath, path, ...argv];
  process.exit = next;
  run();
}

const exit = process.exit.bind(process);
next();
