// Loads a bundled script with V8's code cache, when there is one made by this version of Node: V8 checks that.
const { readFileSync } = require('node:fs');
const { dirname } = require('node:path');
const { Script } = require('node:vm');

/**
 * @param filename - absolute; a CommonJS module in ASCII, in its wrapper. Beside it `filename.cache`, maybe. Throws ENOENT without
 * the script.
 */
function loadScript(filename) {
  const script = new Script(readFileSync(filename, 'latin1'), {
    filename,
    cachedData: readCache(`${filename}.cache`),
  });
  // A script that comes out of a code cache cannot import by itself: this module does it for it.
  const importModule = (name) => import(name);
  const run = () =>
    script.runInThisContext()({}, require, { exports: {} }, filename, dirname(filename), importModule);
  return { script, run };
}

function readCache(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

module.exports = { loadScript };
