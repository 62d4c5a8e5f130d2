#!/bin/bash
# Builds examples/hello and runs it: the README's first command. The base image is made from Debian's busybox-static.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
cairn="node bin/cairn.js"
[ -e dist/cli.cjs ] || npm run --silent build
$cairn image inspect busybox:latest >/dev/null 2>&1 || fixtures/bases/make.sh --import busybox
$cairn build -t hello:1 examples/hello
$cairn history hello:1
$cairn run --rm hello:1
