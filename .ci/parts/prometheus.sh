#!/usr/bin/env bash
# Brings Prometheus, which answers what the dashboard and the alert rules ask, and promtool, which checks them.
set -euo pipefail
PART=prometheus
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Unpacked and not installed: the package would run a service from the next boot on, and bring a web page's libraries.
to="$CACHE_DIR/prometheus"
if [ ! -e "$to/.complete" ]; then
  work="$(mktemp -d)"
  quietly apt-get -o Acquire::Retries=3 update
  (cd "$work" && quietly apt-get -o Acquire::Retries=3 -o APT::Sandbox::User=root download prometheus)
  rm -rf "$to"
  mkdir -p "$to"
  dpkg -x "$work"/prometheus_*.deb "$work/files"
  cp "$work/files/usr/bin/prometheus" "$work/files/usr/bin/promtool" "$to/"
  rm -rf "$work"
  touch "$to/.complete"
fi
for tool in prometheus promtool; do
  "$to/$tool" --version >/dev/null 2>&1 || die "$tool does not run"
  tell "${tool^^}_BIN" "$to/$tool"
done
say "$("$to/prometheus" --version 2>&1 | grep -oE 'version [0-9.]+' | head -1)"
