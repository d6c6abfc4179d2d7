#!/bin/bash
# Makes the database on the first start and becomes the server, with the variables of the official image.
set -euo pipefail

export PGDATA="${PGDATA:-/var/lib/postgresql/data}"
user="${POSTGRES_USER:-postgres}"
database="${POSTGRES_DB:-$user}"

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

if [ "${1:-}" != postgres ]; then
  exec "$@"
fi

install -d -o postgres -g postgres -m 2775 /run/postgresql
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "${POSTGRES_PASSWORD:-}" ]; then
    echo 'POSTGRES_PASSWORD is not set.' >&2
    exit 1
  fi
  install -d -o postgres -g postgres -m 700 "$PGDATA"
  password="$(mktemp)"
  printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
  chown postgres "$password"
  as_postgres initdb --username="$user" --pwfile="$password" \
    --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions
  rm -f "$password"
  printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  # A server on the socket alone: nobody takes it for the real one.
  as_postgres pg_ctl start --wait -o "-c listen_addresses=''"
  if [ "$database" != postgres ]; then
    as_postgres createdb --username="$user" "$database"
  fi
  as_postgres pg_ctl stop --wait --mode=fast
fi

shift
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -c listen_addresses='*' "$@"
