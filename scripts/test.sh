#!/bin/bash
# All tests: unit (seconds, needs nothing), then system (root, mounts, peers: what is absent is skipped, with the reason).
#
#   scripts/test.sh [vitest arguments]    e.g. scripts/test.sh test/store, scripts/test.sh -t hard
#
# The last line says "N passed, N failed[, N skipped]". With CI=true a skipped test counts as a failure unless
# scripts/allowed-skips.txt names it.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT

# System tests run bin/cairn.js, so dist/ must be of this source.
npm run --silent build || {
  echo 'the build failed; no test was run' >&2
  echo '0 passed, 1 failed'
  exit 1
}
for project in unit system; do
  npx vitest run --project "$project" --passWithNoTests --reporter=default --reporter=json \
    --outputFile.json="$reports/$project.json" "$@"
done
node scripts/count-tests.mjs "$reports/unit.json" "$reports/system.json"
