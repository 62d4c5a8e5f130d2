#!/bin/sh
# Installs the peers of the benchmark from Debian (as root).
set -eu
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends docker.io buildah podman crun runc busybox-static
