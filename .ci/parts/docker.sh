#!/usr/bin/env bash
# Starts a Docker engine where none answers and builds the PostgreSQL 17 image that testcontainers runs; `stop` ends that engine.
set -euo pipefail
PART=docker
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

IMAGE=sonas-test-postgres:17
RUN_DIR=/run/sonas-ci
SOCKET="unix://$RUN_DIR/docker.sock"
PID_FILE="$RUN_DIR/docker.pid"

ours_runs() { [ -e "$PID_FILE" ] && [ -d "/proc/$(cat "$PID_FILE")" ] && grep -qa dockerd "/proc/$(cat "$PID_FILE")/cmdline"; }

stop_ours() {
  ours_runs || return 0
  local pid
  pid="$(cat "$PID_FILE")"
  kill "$pid"
  timeout 30 tail --pid="$pid" -f /dev/null || kill -9 "$pid"
  forget DOCKER_HOST
}

start_ours() {
  # One that no longer answers is on its way out, and holds the store until it is gone.
  stop_ours
  [ "$(id -u)" = 0 ] || die "no Docker engine answers, and only root can start one"
  need_packages docker.io iptables
  mkdir -p "$RUN_DIR"
  # Its own socket and its own store: whoever else uses Docker on this machine is not disturbed.
  setsid dockerd --host "$SOCKET" --pidfile "$PID_FILE" --data-root "$CACHE_DIR/docker" --exec-root "$RUN_DIR/exec" \
    >"$CACHE_DIR/docker.log" 2>&1 </dev/null &
  local waited=0
  until docker --host "$SOCKET" version >/dev/null 2>&1; do
    waited=$((waited + 1))
    if [ "$waited" -gt 300 ] || ! [ -d "/proc/$!" ]; then
      tail -20 "$CACHE_DIR/docker.log" >&2
      die "the Docker engine does not start"
    fi
    sleep 0.1
  done
}

build_image() {
  local recipe tar
  recipe="$(cat "$CI_DIR/parts/docker.sh" "$CI_DIR/parts/image/entrypoint.sh" | sha256sum | cut -c1-16)"
  if [ "$(docker image inspect --format '{{ index .Config.Labels "recipe" }}' "$IMAGE" 2>/dev/null)" = "$recipe" ]; then
    return
  fi
  need_packages mmdebstrap debian-archive-keyring
  tar="$CACHE_DIR/image.tar"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$(debian_mirror)" \
    | quietly mmdebstrap --variant=minbase \
      --include=postgresql-17,postgresql-17-pgtap,postgresql-17-plpgsql-check \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' \
      --customize-hook="copy-in $CI_DIR/parts/image/entrypoint.sh /usr/local/bin" \
      trixie "$tar" -
  quietly docker import \
    --change "LABEL recipe=$recipe" \
    --change 'ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'ENV LANG=C.UTF-8' \
    --change 'ENTRYPOINT ["/usr/local/bin/entrypoint.sh"]' \
    --change 'CMD ["postgres"]' \
    --change 'EXPOSE 5432' \
    "$tar" "$IMAGE"
  rm -f "$tar"
}

if [ "${1:-}" = stop ]; then
  stop_ours
  exit
fi

if ours_runs && docker --host "$SOCKET" version >/dev/null 2>&1; then
  export DOCKER_HOST="$SOCKET"
elif ! docker version >/dev/null 2>&1; then
  start_ours
  export DOCKER_HOST="$SOCKET"
fi
if [ "${DOCKER_HOST:-}" = "$SOCKET" ]; then
  tell DOCKER_HOST "$SOCKET"
else
  forget DOCKER_HOST
fi
build_image
tell SONAS_TEST_IMAGE "$IMAGE"
# testcontainers' reaper is an image of its own that cannot be had without Docker's registry.
tell TESTCONTAINERS_RYUK_DISABLED true
if [ -e /.dockerenv ] || [ "$(cat /proc/1/comm)" != systemd ]; then
  # Inside something like a container, testcontainers guesses the address of the host wrongly.
  tell TESTCONTAINERS_CONNECTION_MODE docker_host
  tell TC_HOST 127.0.0.1
fi
say "engine $(docker version --format '{{ .Server.Version }}'), image $IMAGE"
