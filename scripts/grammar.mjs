// Compiles src/parser/grammar.ne into src/parser/grammar.generated.ts. With --check, writes nothing and fails
// when the committed file is not what the grammar says. nearley's own generator writes untyped code with
// suppressed checks; this one keeps the rules as typed data.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const nearley = require('nearley');
const compile = require('nearley/lib/compile.js');
const metaGrammar = require('nearley/lib/nearley-language-bootstrapped.js');

const folder = join(dirname(fileURLToPath(import.meta.url)), '..', 'src', 'parser');
const target = join(folder, 'grammar.generated.ts');

/** The TypeScript source of the compiled grammar. */
export function generateGrammar() {
  const parser = new nearley.Parser(nearley.Grammar.fromCompiled(metaGrammar));
  parser.feed(readFileSync(join(folder, 'grammar.ne'), 'utf8'));
  const { rules, body, start } = compile(parser.results[0], { args: [] });
  return [
    '// Generated from grammar.ne by scripts/grammar.mjs: do not edit.',
    "import type { GrammarRule } from './grammar-rule.ts';",
    ...body.map((text) => text.trim()),
    '',
    '/** The rules of grammar.ne, as nearley takes them. */',
    'export const rules: readonly GrammarRule[] = [',
    ...rules.map((rule) => `  ${ruleSource(rule)},`),
    '];',
    '',
    '/** The rule to start with. */',
    `export const start = ${JSON.stringify(start)};`,
    '',
  ].join('\n');
}

function ruleSource({ name, symbols, postprocess }) {
  const fields = [`name: ${JSON.stringify(name)}`, `symbols: [${symbols.map(symbolSource).join(', ')}]`];
  if (postprocess) fields.push(`postprocess: ${postprocess.trim()}`);
  return `{ ${fields.join(', ')} }`;
}

function symbolSource(symbol) {
  if (typeof symbol === 'string') return JSON.stringify(symbol);
  // nearley writes %name as an expression that asks the lexer; here all tokens are known by their type.
  const token = /has\("(\w+)"\)|^%?(\w+)$/.exec(symbol.token ?? '');
  if (!token)
    throw new Error(`grammar.ne: only tokens and rules are supported, found ${JSON.stringify(symbol)}`);
  return `{ type: ${JSON.stringify(token[1] ?? token[2])} }`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = generateGrammar();
  if (!process.argv.includes('--check')) writeFileSync(target, wanted);
  else if (readFileSync(target, 'utf8') !== wanted) {
    process.stderr.write('src/parser/grammar.generated.ts is not current: run "npm run grammar"\n');
    process.exitCode = 1;
  }
}
