#!/usr/bin/env bash
# Injects every known source of noise into RUN steps and checks that `cairn verify` names its cause, and that it does not
# complain about what is reproducible. Takes some minutes; needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
CAIRN_NOISE=all npx vitest run --project system test/system/verify-noise.test.ts "$@"
