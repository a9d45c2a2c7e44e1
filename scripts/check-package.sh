#!/bin/sh
# Packs the package, installs it into an empty folder, and runs all its programs there, as a user would.
set -eu
cd "$(dirname "$0")/.."
root=$PWD

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
check() { printf '%s\n' "package: $*" >&2; }
stop() { printf 'error: %s\n' "$*" >&2; exit 1; }

npm pack --silent --pack-destination "$place" >"$place/log" 2>&1 || { cat "$place/log" >&2; stop "npm pack failed"; }
tarball=$(echo "$place"/bulkhead-*.tgz)

# What must be in it, and what must not.
listing=$(tar -tzf "$tarball" | sed 's,^package/,,' | sort)
for file in package.json LICENSE README.md CHANGELOG.md kubectl_complete-bulkhead dist/cli/main.js dist/cli/main.d.ts; do
  echo "$listing" | grep -qx "$file" || stop "$file is missing from the package"
done
if echo "$listing" | grep -E '\.test\.|\.arbitrary\.|^src/|^test/|^node_modules/'; then stop "the package holds what is not meant for users"; fi
head -n 1 dist/cli/main.js | grep -q '^#!/usr/bin/env node' || stop "dist/cli/main.js does not begin with #!"
if grep -rnE --include='*.js' "(from|import\() *[\"']\.[^\"']*\.ts[\"']" dist; then stop "an import still names a .ts file"; fi
check "$(echo "$listing" | wc -l) files, $(wc -c <"$tarball") bytes"

mkdir "$place/app"
cd "$place/app"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --prefer-offline "$tarball"

# Node 24 is wherever the checkout has it; users have their own.
PATH=$place/app/node_modules/.bin:$root/node_modules/.bin:$PATH
export PATH
cat >pods.yaml <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]}
YAML
for program in bulkhead kubectl-bulkhead; do
  "$program" --version >/dev/null || stop "$program --version"
  "$program" can shop/web shop/db 5432 -f pods.yaml -q 2>/dev/null || stop "$program can: allowed expected"
  status=0
  "$program" can shop/web shop/db 80 -f pods.yaml -q 2>/dev/null || status=$?
  [ "$status" -eq 1 ] || stop "$program can: denied expected"
  "$program" explain shop/web shop/db 5432 -f pods.yaml >/dev/null 2>&1 || stop "$program explain"
  "$program" map -f pods.yaml -o html 2>/dev/null | grep -q '</html>' || stop "$program map"
  "$program" verify --help >/dev/null || stop "$program verify --help"
  check "$program runs"
done
kubectl_complete-bulkhead "" | grep -q '^explain' || stop "kubectl_complete-bulkhead"
if command -v kubectl >/dev/null 2>&1; then
  kubectl bulkhead --version >/dev/null || stop "kubectl bulkhead"
  kubectl __complete bulkhead ex 2>/dev/null | grep -q '^explain' || stop "kubectl does not complete the plugin"
  check "kubectl bulkhead runs and completes"
fi
check "good"
