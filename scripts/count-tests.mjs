// count-tests.mjs REPORT…: sums vitest's JSON reports, names failed and skipped tests, prints the totals as the last line.
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const allowedSkips = readFileSync(new URL('allowed-skips.txt', import.meta.url), 'utf8')
  .split('\n')
  .map((line) => line.replace(/#.*/, '').trim())
  .filter((line) => line !== '');

let passed = 0;
let skipped = 0;
const failures = [];
const skips = [];

for (const path of process.argv.slice(2)) {
  if (!existsSync(path)) {
    failures.push(`${path}: vitest wrote no report`);
    continue;
  }
  const report = JSON.parse(readFileSync(path, 'utf8'));
  for (const file of report.testResults) {
    const name = relative(process.cwd(), file.name);
    const tests = file.assertionResults;
    for (const test of tests) {
      const title = `${name} > ${[...test.ancestorTitles, test.title].join(' > ')}`;
      if (test.status === 'passed') passed++;
      else if (test.status === 'failed') failures.push(title);
      else skips.push({ title, reason: test.meta?.skipReason ?? 'skipped without a reason' });
    }
    // A file that cannot be loaded, or whose hooks fail, has no failed test of its own.
    if (file.status === 'failed' && !tests.some((test) => test.status === 'failed')) {
      failures.push(`${name}: ${file.message.split('\n')[0]}`);
    }
  }
}

const strict = process.env.CI === 'true';
for (const { title, reason } of skips) {
  if (strict && !allowedSkips.some((allowed) => title.startsWith(allowed)))
    failures.push(`${title} (${reason})`);
  else skipped++;
}

const byReason = new Map();
for (const { reason } of skips) byReason.set(reason, (byReason.get(reason) ?? 0) + 1);
for (const [reason, count] of byReason) console.log(`skipped: ${count} (${reason})`);
for (const failure of failures) console.log(`FAILED: ${failure}`);
console.log(`${passed} passed, ${failures.length} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failures.length > 0 ? 1 : 0;
