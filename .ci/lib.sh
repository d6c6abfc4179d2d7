# What every part shares. Source it; it does nothing by itself.
# shellcheck shell=bash

CI_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
REPO_DIR="$(dirname "$CI_DIR")"
# Postgres refuses to run as root, so what it runs from has to be readable by others: not below a private home.
if [ "$(id -u)" = 0 ]; then
  CACHE_DIR="${SONAS_CI_CACHE:-/var/cache/sonas-ci}"
else
  CACHE_DIR="${SONAS_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sonas-ci}"
fi
ENV_FILE="$CACHE_DIR/env"
mkdir -p "$CACHE_DIR"

say() { printf '%s: %s\n' "${PART:-ci}" "$*"; }

die() {
  printf '%s: %s\n' "${PART:-ci}" "$*" >&2
  exit 1
}

# tell NAME VALUE: what the tests find in their environment.
tell() {
  touch "$ENV_FILE"
  forget "$1"
  printf 'export %s=%q\n' "$1" "$2" >>"$ENV_FILE"
}

# quietly COMMAND…: silent, unless it fails.
quietly() {
  local log
  log="$(mktemp)"
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "failed: $*"
  fi
  rm -f "$log"
}

# need_packages NAME…: installs what is missing with the machine's own package sources.
need_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
  done
  [ "${#missing[@]}" = 0 ] && return
  [ "$(id -u)" = 0 ] || die "these packages are missing, and only root can install them: ${missing[*]}"
  quietly apt-get -o Acquire::Retries=3 update
  # No service is started by an installation: the tests start their own, on their own ports.
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    made=1
  fi
  DEBIAN_FRONTEND=noninteractive quietly apt-get -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
    install -y --no-install-recommends "${missing[@]}"
  if [ -n "$made" ]; then rm -f "$policy"; fi
}

# debian_mirror: the address that this machine's own sources take Debian from.
debian_mirror() {
  local uri
  uri="$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' \
    | awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }')"
  if [ -z "$uri" ]; then
    quietly apt-get update
    uri="$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' \
      | awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }')"
  fi
  [ -n "$uri" ] || die "no Debian mirror among this machine's package sources"
  printf '%s\n' "$uri"
}

# forget NAME: takes back what tell said.
forget() {
  if [ -e "$ENV_FILE" ]; then sed -i "/^export $1=/d" "$ENV_FILE"; fi
}
