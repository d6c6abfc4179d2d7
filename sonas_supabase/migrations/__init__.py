"""The SQL migrations that travel with this package: what a database has of them, and copies in a project's folder.

`supabase db push` and `apply` record what they applied in the same table, so each sees what the other did. A migration
is known by its name, `sonas_credits_<release>`: in a project it may stand under a later stamp than here, behind
everything that the project had before (`copy_into`). `state` also compares the text that was applied with ours.
"""

from sonas_supabase.migrations._copies import CannotCopy, Copy, copy_into, plan_copies
from sonas_supabase.migrations._history import (
    SERIES,
    Applied,
    CannotMigrate,
    Migration,
    OtherText,
    State,
    applied,
    apply,
    history,
    migrations,
    pending,
    read_folder,
    record,
    sql_folder,
    stamp_in,
    state,
)
from sonas_supabase.migrations._removal import Belongings, InUse, belongings, remove, write_out

__all__ = [
    "SERIES",
    "Applied",
    "Belongings",
    "CannotCopy",
    "CannotMigrate",
    "Copy",
    "InUse",
    "Migration",
    "OtherText",
    "State",
    "applied",
    "apply",
    "belongings",
    "copy_into",
    "history",
    "migrations",
    "pending",
    "plan_copies",
    "read_folder",
    "record",
    "remove",
    "sql_folder",
    "stamp_in",
    "state",
    "write_out",
]
