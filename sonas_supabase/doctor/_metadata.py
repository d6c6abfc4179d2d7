"""What users write about themselves, where it is believed."""

from __future__ import annotations

import re

from sonas_supabase import Finding

from ._finding import finding
from ._tree import Tree, walk

_METADATA = re.compile(r"(raw_)?user_meta_?data")


_METADATA_KEYS = re.compile(
    r"^((is_|has_)?(plan|tier|subscription[a-z_]*|credits?|balance|roles?|super_?admin|admin|staff|moderator|operator|employee|"
    r"internal|tester|pro|premium|paid|vip|unlimited)|permissions?|entitlements?|[a-z_]*(quota|allowance|_limit|_credits))$"
)


def metadata_key(trees: list[Tree]) -> str | None:
    """The plan, role or balance that is read from what users write about themselves."""
    for item in trees:
        for node in walk(item):
            if node[0] == "op" and node[1] in ("->", "->>", "#>>") and node[3][0] == "const":
                key = str(node[3][1]).strip("{}").split(",")[-1]
                inside = [str(one[1]) for one in walk(node[2]) if one[0] == "const"]
                inside += [
                    str(one[-1] if one[0] != "col" else one[1][-1])
                    for one in walk(node[2])
                    if one[0] in ("c", "col", "new", "field")
                ]
                inside += [str(node[3][1])] if "{" in str(node[3][1]) else []
                if _METADATA_KEYS.match(key) and any(_METADATA.search(one) for one in inside):
                    return key
    return None


def trusting(title: str, key: str) -> Finding:
    """A finding about what users write about themselves."""
    return finding(
        "trusts_user_metadata", "high", title,
        f"It reads {key} from what users write about themselves: any of them may change it with one call to Auth.",
        'curl -X PUT "$SUPABASE_URL/auth/v1/user" -H "apikey: $SUPABASE_PUBLISHABLE_KEY" -H "Authorization: Bearer <token of '
        f"some user>\" -H \"Content-Type: application/json\" -d '{{\"data\": {{\"{key}\": \"…\"}}}}'",
        "Read it from app_metadata (raw_app_meta_data), which only the secret key can write, or from a table of yours that users "
        "cannot write.",
    )  # fmt: skip
