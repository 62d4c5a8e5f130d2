// Loads a bundled script with V8's code cache, when there is one made by this version of Node: V8 checks that.
const { readFileSync } = require('node:fs');
const { dirname } = require('node:path');
const { constants, Script } = require('node:vm');

/**
 * @param filename - absolute; a CommonJS module in ASCII, in its wrapper. Beside it `filename.cache`, maybe. Throws ENOENT without
 * the script.
 */
function loadScript(filename) {
  const script = new Script(readFileSync(filename, 'latin1'), {
    filename,
    cachedData: readCache(`${filename}.cache`),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const run = () => script.runInThisContext()({}, require, { exports: {} }, filename, dirname(filename));
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
