"""What calls cost, for everybody to read: the price book as a rate card, a page at a time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from sonas_supabase.web._context import Context
from sonas_supabase.web._rates import RateCard

_PAGE = 25

Book = Annotated[str, Query(max_length=63, pattern=r"^[a-z][a-z0-9_-]*$", description="The price book.")]
Name = Annotated[
    str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="A part of the operation's name.")
]
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[
    str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="The last name of the page before.")
]


def router(context: Context) -> APIRouter:
    """The routes, on what the app was made with."""
    routes = APIRouter(tags=["prices"])

    @routes.get("/api/prices")
    async def prices(book: Book = "default", name: Name = None, after: After = None, limit: Limit = _PAGE) -> RateCard:
        """What operations cost now, by name. Nobody has to be signed in."""
        return await context.rates.card(book, name=name, after=after, limit=limit)

    return routes
