#!/bin/bash
# Starts a dockerd to compare with, apart from any other on the machine, and writes a `docker` command that talks to it.
#
#   scripts/peers-up.sh [newest|host]   newest: Docker of Debian sid in a root of its own (default)
#                                       host: the docker.io package of this machine (Debian 12: 20.10)
#   scripts/peers-up.sh down            stops it; the root and its images stay for the next start
#
# Prints the path of the docker command, and nothing else on stdout: CAIRN_DOCKER=$(scripts/peers-up.sh). Tests and
# `npm run compare` find it by themselves. State: $CAIRN_PEERS, else ~/.cache/cairn-peers. Needs root. About a minute the
# first time (it downloads Debian packages from the machine's own mirror), a second later on.
#
# Everything that is mounted lives in the mount namespace of one holder process, so nothing shows in the machine's
# mount table, and ending that process ends it all.
set -euo pipefail
state=${CAIRN_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/cairn-peers}
mode=${1:-newest}
disk_size=${CAIRN_PEERS_DISK:-20G}
bridge=cairn-peers subnet=172.28.199.1/24
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

say() { echo "peers-up: $*" >&2; }
fail() {
  say "$*"
  exit 1
}

case $mode in newest | host | down) ;; *) fail "unknown word '$mode'; usage: peers-up.sh [newest|host|down]" ;; esac
[ "$(id -u)" = 0 ] || fail 'a dockerd needs root; or set DOCKER_HOST to use one that runs'
mkdir -p "$state/bin" "$state/config"
state=$(readlink -f "$state")
root=$state/sid socket=$state/docker.sock pidfile=$state/dockerd.pid holderfile=$state/holder.pid

# alive PIDFILE NAME: the process of that pid file runs and is that program (pids are reused).
alive() { [ -s "$1" ] && [ "$(cat "/proc/$(cat "$1")/comm" 2>/dev/null)" = "$2" ]; }

stop() {
  local i
  if alive "$pidfile" dockerd; then
    kill "$(cat "$pidfile")"
    for i in $(seq 100); do alive "$pidfile" dockerd || break; sleep 0.1; done
  fi
  if alive "$holderfile" sleep; then kill "$(cat "$holderfile")"; fi
  rm -f "$pidfile" "$holderfile" "$socket"
  ip link delete "$bridge" 2>/dev/null || true
}

if [ "$mode" = down ]; then
  stop
  exit 0
fi

if alive "$pidfile" dockerd && [ "$(cat "$state/mode" 2>/dev/null)" = "$mode" ] && "$state/bin/docker" version >/dev/null 2>&1; then
  echo "$state/bin/docker"
  exit 0
fi
stop

# install PACKAGE…: what is missing, from Debian.
install() {
  dpkg -s "$@" >/dev/null 2>&1 && return
  command -v apt-get >/dev/null || fail "missing packages, and no apt-get to install them: $*"
  say "installing $*"
  [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -print -quit)" ] ||
    apt-get -o DPkg::Lock::Timeout=600 -qq update >&2
  apt-get -o DPkg::Lock::Timeout=600 -qq install -y --no-install-recommends "$@" >&2
}

mirror() {
  [ -z "${CAIRN_DEBIAN_MIRROR:-}" ] || { echo "$CAIRN_DEBIAN_MIRROR"; return; }
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 !~ /-/ && $2 == "main" { print $3; exit }'
}

if [ "$mode" = newest ]; then
  install mmdebstrap iproute2 util-linux e2fsprogs
  # xz-utils: BuildKit unpacks .xz archives with the program.
  packages=ca-certificates,docker.io,docker-cli,docker-buildx,containerd,runc,iptables,iproute2,mount,git,pigz,xz-utils
  if [ "$(cat "$root/.complete" 2>/dev/null)" != "$packages" ]; then
    say 'bootstrapping a Debian sid root with Docker (once)'
    rm -rf "$root"
    mmdebstrap --variant=apt --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
      --include="$packages" \
      sid "$root" "$(mirror)" >"$state/sid.log" 2>&1 || { tail -n 20 "$state/sid.log" >&2; fail 'mmdebstrap failed'; }
    echo "$packages" >"$root/.complete"
  fi
else
  install docker.io iproute2 util-linux e2fsprogs
fi

[ -f "$state/disk.img" ] || {
  truncate -s "$disk_size" "$state/disk.img"
  mkfs.ext4 -q -F "$state/disk.img"
}
mkdir -p "$state/disk"

# The holder: mounts, then sleeps. dockerd and every docker command enter its mount namespace.
cat >"$state/holder.sh" <<'HOLDER'
set -e
state=$1 root=$2 mode=$3
# A journaled file system of its own; where loop devices are missing, memory.
mount -o loop,noatime "$state/disk.img" "$state/disk" || mount -t tmpfs -o mode=755 tmpfs "$state/disk"
if [ "$mode" = newest ]; then
  mount --bind "$root" "$root"
  mount --rbind /proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t sysfs sysfs "$root/sys"
  if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
  else
    # Only version 1: with controllers on both sides runtimes refuse the hybrid layout.
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    for c in /sys/fs/cgroup/*; do
      n=${c##*/}
      if [ -d "$c" ] && [ "$n" != unified ]; then
        mkdir "$root/sys/fs/cgroup/$n"
        mount --bind "$c" "$root/sys/fs/cgroup/$n"
      fi
    done
  fi
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  # Everything that is not part of an operating system: contexts may lie anywhere.
  for d in /* /var/tmp; do
    case ${d#/} in bin | boot | dev | etc | lib* | proc | run | sbin | sys | usr | var) continue ;; esac
    if [ -d "$d" ] && [ ! -L "$d" ]; then
      mkdir -p "$root$d"
      mount --rbind "$d" "$root$d"
    fi
  done
  mkdir -p "$root$state"
  mount --bind "$state" "$root$state"
  mount --bind "$state/disk" "$root$state/disk"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  cp /etc/hosts "$root/etc/hosts"
  mkdir -p "$root/.old"
  cd "$root"
  pivot_root . .old
  umount -l /.old
fi
echo ready >"$state/holder.ready"
exec sleep infinity
HOLDER
rm -f "$state/holder.ready"
setsid unshare --mount --propagation private bash "$state/holder.sh" "$state" "$root" "$mode" </dev/null >"$state/holder.log" 2>&1 &
echo $! >"$holderfile"
for _ in $(seq 50); do [ ! -e "$state/holder.ready" ] || break; sleep 0.1; done
[ -e "$state/holder.ready" ] || { cat "$state/holder.log" >&2; fail 'the mount namespace could not be set up'; }
holder=$(cat "$holderfile")

# Debian's own client: one without buildx that someone put into /usr/local would refuse to build.
cat >"$state/bin/docker" <<WRAPPER
#!/bin/sh
# Written by scripts/peers-up.sh: docker in the mount namespace of the peers' dockerd.
exec nsenter --mount --wdns="\$PWD" --target "\$(cat '$holderfile')" -- \\
  env DOCKER_HOST='unix://$socket' DOCKER_CONFIG='$state/config' DOCKER_BUILDKIT=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1 /usr/bin/docker "\$@"
WRAPPER
chmod +x "$state/bin/docker"

# A bridge of its own, so that another dockerd's docker0 and firewall rules stay as they are. Builds use the host network.
ip link show "$bridge" >/dev/null 2>&1 || {
  ip link add "$bridge" type bridge
  ip addr add "$subnet" dev "$bridge"
  ip link set "$bridge" up
}
setsid nsenter --mount --wd=/ --target "$holder" -- /usr/sbin/dockerd --data-root "$state/disk/docker" --exec-root /run/cairn-peers \
  --pidfile "$pidfile" --host "unix://$socket" --storage-driver overlay2 \
  --bridge "$bridge" --iptables=false --ip6tables=false --ip-masq=false </dev/null >"$state/dockerd.log" 2>&1 &
for _ in $(seq 150); do
  if "$state/bin/docker" version >/dev/null 2>&1; then
    echo "$mode" >"$state/mode"
    echo "$state/bin/docker"
    exit 0
  fi
  sleep 0.2
done
tail -n 20 "$state/dockerd.log" >&2
fail "dockerd did not start; its log is $state/dockerd.log"
