"""One user's data as JSON, written row by row: it may be more than fits into one answer, or into memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sonas_supabase import CreditsClient, InvalidArgument

from ._output import plain

PAGE = 4000


def written(client: CreditsClient, user: str, counts: dict[str, int], *, page: int = PAGE) -> Iterator[str]:
    """The text of the export, piece by piece; `counts` tells of each table that has rows how many were written."""
    first = client.export_account(user, table="credits.accounts")
    heading = plain({"account_id": first.account_id, "exported_at": first.exported_at})
    yield json.dumps(heading, indent=2)[:-2] + ',\n  "tables": {'
    for nth, name in enumerate(first.names):
        yield f"{',' if nth else ''}\n    {json.dumps(name)}: ["
        for row in _rows(client, user, name, page):
            seen = counts[name] = counts.get(name, 0) + 1
            yield f"{',' if seen > 1 else ''}\n      {json.dumps(plain(row), ensure_ascii=False)}"
        yield "\n    ]" if name in counts else "]"
    yield "\n  }\n}\n"


def _rows(client: CreditsClient, user: str, name: str, page: int) -> Iterator[Any]:
    offset, more = 0, True
    while more:
        try:
            part = client.export_account(user, table=name, offset=offset, limit=page)
        except InvalidArgument as error:
            # Rows with much metadata: fewer at a time.
            if error.details.get("argument") != "p_limit" or page == 1:
                raise
            page = max(1, page // 4)
            continue
        yield from part.tables[name]
        offset += len(part.tables[name])
        more = part.more
