#!/usr/bin/env bash
# Brings Chromium for the end-to-end tests, a typeface to look at, and axe-core, which looks for what some people cannot use.
set -euo pipefail
PART=chromium
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need_packages chromium fonts-inter
binary="$(command -v chromium)" || die "Chromium is not on the path"
"$binary" --version >/dev/null 2>&1 || die "Chromium does not run"

axe_version=4.14.1
axe="$CACHE_DIR/axe-$axe_version"
if [ ! -e "$axe/axe.min.js" ]; then
  command -v npm >/dev/null || need_packages nodejs npm
  work="$(mktemp -d)"
  (cd "$work" && quietly npm pack "axe-core@$axe_version" --loglevel=error && tar xzf axe-core-*.tgz)
  mkdir -p "$axe"
  cp "$work/package/axe.min.js" "$axe/axe.min.js"
  rm -rf "$work"
fi

tell CHROMIUM_BIN "$binary"
tell AXE_JS "$axe/axe.min.js"
say "$("$binary" --version | tr -s ' '), axe-core $axe_version"
