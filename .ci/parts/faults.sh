#!/usr/bin/env bash
# Brings a pooler and a false clock, which the fault tests put between the clients and the server.
set -euo pipefail
PART=faults
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

need_packages pgbouncer libfaketime
tell PGBOUNCER_BIN "$(command -v pgbouncer)"
tell LIBFAKETIME "$(dpkg -L libfaketime | grep '/libfaketime\.so\.1$')"
say "$(pgbouncer --version | head -1)"
