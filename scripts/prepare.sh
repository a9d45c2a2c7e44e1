#!/bin/sh
# Makes a checkout able to run and to test: nftables from the system's packages, Node 24 and the libraries through npm.
# With --cluster also what the real cluster of test/cluster is built and run with.
# Says what it is going to install before it does; where it can't, says what to install and stops. Quiet when all is there.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
stop() { say "error: $*"; exit 2; }

command -v npm >/dev/null 2>&1 || stop "npm is missing. Install Node.js with npm (any version from 20 on: Node 24 itself comes through npm)."

missing=""
# need PACKAGE FILE...: the package is missing when no program of these names, and no file, is there
need() {
  package=$1
  shift
  for file; do
    if command -v "$file" >/dev/null 2>&1 || [ -e "$file" ]; then return; fi
  done
  missing="$missing $package"
}

need nftables nft /usr/sbin/nft
need iproute2 ip /usr/sbin/ip
if [ "${1:-}" = --cluster ]; then
  need runc runc /usr/sbin/runc
  need containernetworking-plugins /usr/lib/cni/bridge /opt/cni/bin/bridge
  need iptables iptables /usr/sbin/iptables
  need openssl openssl
  need bash-static /bin/bash-static # the shell of a suite's image, which holds nothing else
  need gcc gcc
  need libc6-dev /usr/include/stdlib.h
  need golang-go go /usr/local/go/bin/go # any version: it fetches the one that is needed
fi
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "Installing with apt-get:$missing"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    # shellcheck disable=SC2086 # one word a package
    { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 || { tail -n 5 "$log" >&2; stop "apt-get could not install:$missing"; }
    rm -f "$log"
  else
    stop "missing programs:$missing. Install them (Debian, Ubuntu: sudo apt-get install$missing) and try again."
  fi
fi

# The launcher installs the libraries on first use, and says so.
./bulkhead --version >/dev/null
