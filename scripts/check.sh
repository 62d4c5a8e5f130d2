#!/bin/bash
# Every check: format and lint, types, unused exports and dependencies, then all tests (scripts/test.sh). All of them run, whatever
# fails. The last line says "N passed, N failed[, N skipped]": tests, and one more for each of the other checks.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
passed=0 failed=()

check() {
  local name=$1
  shift
  echo "--- $name: $*"
  if "$@"; then passed=$((passed + 1)); else failed+=("$name"); fi
}

check 'format and lint' npx biome check --error-on-warnings .
check 'types' npx tsc -p .
check 'unused exports and dependencies' npx knip
check 'grammar is generated from its source' node scripts/grammar.mjs --check

echo '--- tests'
totals=$(mktemp)
bash scripts/test.sh "$@" | tee "$totals"
last=$(tail -n 1 "$totals")
rm -f "$totals"
if ! [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
  echo 'FAILED: scripts/test.sh printed no totals'
  echo "$passed passed, $((${#failed[@]} + 1)) failed"
  exit 1
fi
for name in ${failed[@]+"${failed[@]}"}; do echo "FAILED: $name"; done
all=$((${#failed[@]} + BASH_REMATCH[2]))
skipped=${BASH_REMATCH[4]:-0}
echo "$((passed + BASH_REMATCH[1])) passed, $all failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
[ "$all" = 0 ]
