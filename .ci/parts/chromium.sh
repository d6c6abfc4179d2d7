#!/usr/bin/env bash
# Brings Chromium for the end-to-end tests, and a typeface to look at.
set -euo pipefail
PART=chromium
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need_packages chromium fonts-inter
binary="$(command -v chromium)" || die "Chromium is not on the path"
"$binary" --version >/dev/null 2>&1 || die "Chromium does not run"

tell CHROMIUM_BIN "$binary"
say "$("$binary" --version | tr -s ' ')"
