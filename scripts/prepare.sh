#!/bin/sh
# Makes a checkout able to run and to test: nftables from the system's packages, Node 24 and the libraries through npm.
# Says what it is going to install before it does; where it can't, says what to install and stops. Quiet when all is there.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
stop() { say "error: $*"; exit 2; }

command -v npm >/dev/null 2>&1 || stop "npm is missing. Install Node.js with npm (any version from 20 on: Node 24 itself comes through npm)."

missing=""
command -v nft >/dev/null 2>&1 || [ -x /usr/sbin/nft ] || missing="$missing nftables"
command -v ip >/dev/null 2>&1 || [ -x /usr/sbin/ip ] || missing="$missing iproute2"
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
