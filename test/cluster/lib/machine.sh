#!/bin/sh
# The first process of a machine: runs in new mount, network, PID, UTS and IPC namespaces, gives the machine directories of
# its own over those of the host, and becomes INIT. Everything of the machine ends with that process.
# Usage: machine.sh HOSTNAME STATE INIT    STATE: what survives a reboot of the machine; INIT: a program that waits and reaps
set -eu
hostname=$1 state=$2 init=$3
read -r stat </proc/self/stat # still the host's /proc, so this process as the host numbers it
mount -t proc proc /proc
printf '%s' "$hostname" >/proc/sys/kernel/hostname
mount --make-rshared / # kubelet propagates mounts; the group is new, nothing reaches the host

for directory in etc opt var/lib; do
  mkdir -p "$state/$directory" "$state/.work/$directory"
  mkdir -p "/$directory"
  mount -t overlay -o "lowerdir=/$directory,upperdir=$state/$directory,workdir=$state/.work/$directory" overlay "/$directory"
done
# containerd's snapshots are overlays themselves and can't lie on one
for directory in var/lib/containerd var/lib/kubelet var/log; do
  mkdir -p "$state/real/$directory" "/$directory"
  mount --bind "$state/real/$directory" "/$directory"
done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
ip link set lo up
# shellcheck disable=SC2086 # one word a field: the first is the id, the 22nd the start time, proc(5)
set -- $stat
printf '{"pid": %s, "started": "%s"}\n' "$1" "${22}" >"$state/init.json"
exec "$init"
