"""Projects and the two routes that cost credits: generation and chat."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4, uuid5

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import ValidationError
from starlette.responses import StreamingResponse

from sonas_supabase import AsyncCreditsClient, CreditsError, InvalidArgument
from sonas_supabase.fastapi import CurrentUser, Spend, current_user, spend
from sonas_supabase.web._context import Context
from sonas_supabase.web._holding import HOLD_SECONDS, holding
from sonas_supabase.web._lines import CHAT, GENERATE
from sonas_supabase.web._requests import ChatRequest, GenerateRequest
from sonas_supabase.web._work import Draft, Project
from sonas_supabase.web.errors import CREATED, NO_CONTENT, Answers, ProjectNotFound, WorkFailed, answers

_log = logging.getLogger("sonas_supabase.web")
_TITLE_LENGTH = 60
_LONGEST_WORDS = 200
_CHAT_ABOUT_NOTHING = "Chat message"
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {"event": {"enum": ["delta", "done", "error"]}, "data": {"type": "string"}},
}
_STREAM: Answers = {
    200: {"content": {"text/event-stream": {"itemSchema": _EVENT}}},
    **answers(not_found="The user has no such project."),
}
_NOT_FOUND = answers(not_found="The user has no such project.")
_GENERATION = answers(
    denied="No message credit is left, or no place for a project.",
    frozen="The account may not spend.",
    not_found="The user is gone.",
    failed="The work failed. Nothing was charged.",
)

ProjectId = Annotated[UUID, Path(description="The project.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="The same request under the same key makes one project, however often it is sent.",
    ),
]


Limit = Annotated[int, Query(ge=1, le=500, description="How many projects at most.")]
Before = Annotated[
    str | None,
    Query(
        max_length=100,
        description="`created_at` and `id` of the last project of the page before, with `_` between.",
    ),
]
Name = Annotated[
    str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="Only those with this in their name.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectLine:
    """A project as a list shows it."""

    id: UUID
    name: str
    paths: tuple[str, ...]
    created_at: datetime


def router(context: Context) -> APIRouter:
    """The routes, on what the app was made with."""
    routes = APIRouter(tags=["projects"])

    @routes.get("/api/projects")
    async def list_projects(
        user: CurrentUser, response: Response, limit: Limit = 24, before: Before = None, name: Name = None
    ) -> list[ProjectLine]:
        """The user's projects, the newest first. `X-Total-Count` says how many there are in all."""
        found = await context.store.projects(user.id, limit=limit, before=_place(before), name=name)
        response.headers["x-total-count"] = str(found.total)
        return [
            ProjectLine(id=project.id, name=project.name, paths=tuple(project.files), created_at=project.created_at)
            for project in found.projects
        ]

    @routes.get("/api/projects/{project_id}", responses=_NOT_FOUND)
    async def get_project(user: CurrentUser, project_id: ProjectId) -> Project:
        """One project with its files."""
        return await _own_project(context, user.id, project_id)

    @routes.delete("/api/projects/{project_id}", status_code=NO_CONTENT, responses=_NOT_FOUND)
    async def delete_project(user: CurrentUser, project_id: ProjectId) -> None:
        """Deletes a project, which gives its place back."""
        if not await context.store.delete_project(user.id, project_id):
            raise ProjectNotFound("There is no such project.")

    @routes.post("/api/generate-daytona", status_code=CREATED, responses=_GENERATION)
    async def generate(user: CurrentUser, wanted: GenerateRequest, key: Key = None) -> Project:
        """Makes a project: 1 message credit and 1 project, both or neither."""
        project_id = uuid5(user.id, f"{key}\n{wanted.prompt}") if key else uuid4()
        stored = await context.store.project(user.id, project_id) if key else None
        try:
            return stored or await _generate(context, user.id, project_id, wanted.prompt)
        except _MadeMeanwhileError:
            return await _own_project(context, user.id, project_id)

    async def about(request: Request) -> str:
        """What the history says of a message: the project that it is about."""
        try:
            asked = ChatRequest.model_validate_json(await request.body())
        except ValidationError:
            # The request is refused before it comes to anything.
            return _CHAT_ABOUT_NOTHING
        user = await current_user(request)
        project = await context.store.project(user.id, asked.project_id)
        return f"{CHAT}{project.name}"[:_LONGEST_WORDS] if project else _CHAT_ABOUT_NOTHING

    held = spend("message", 1, description=about, ttl_seconds=HOLD_SECONDS)

    @routes.post("/api/chat-continue", response_class=StreamingResponse, responses=_STREAM)
    async def chat(
        asked: ChatRequest,
        # As a default: an annotation is a text here, and cannot name what is local.
        spend: Spend = Depends(held),  # noqa: B008
    ) -> Response:
        """Answers a message about a project, piece by piece: 1 message credit.

        Server-sent events: `delta` with `text`; at the end `done`, or `error`, which costs nothing.
        """
        project = await _own_project(context, spend.user.id, asked.project_id)
        return StreamingResponse(
            _events(context.chat(project, asked.message), spend),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    return routes


def _place(before: str | None) -> tuple[datetime, UUID] | None:
    """Where the page before ended.

    Raises:
        InvalidArgument: it is no time and id.
    """
    if before is None:
        return None
    created_at, _, project_id = before.partition("_")
    try:
        place = datetime.fromisoformat(created_at), UUID(project_id)
        if place[0].tzinfo is None:
            raise ValueError("a time without a zone")
    except ValueError as error:
        raise InvalidArgument(
            "This is no place in the list of projects.",
            details={"argument": "before"},
            hint="Pass created_at and id of the last project of the page before, with _ between.",
        ) from error
    return place


async def _own_project(context: Context, user_id: UUID, project_id: UUID) -> Project:
    project = await context.store.project(user_id, project_id)
    if project is None:
        raise ProjectNotFound("There is no such project.")
    return project


async def _generate(context: Context, user_id: UUID, project_id: UUID, prompt: str) -> Project:
    title = f"{GENERATE}{_short(prompt)}"
    async with (
        holding(context.credits, user_id, "message", description=title) as message,
        holding(context.credits, user_id, "project", description=title) as place,
    ):
        draft = await _draft(context, prompt)
        async with context.store.transaction() as connection:
            # In the order of the locks: message before project. The trigger takes the place that is released here,
            # and nobody else can, since the balance stays locked until the commit.
            credits = AsyncCreditsClient.from_connection(connection)
            await credits.capture_credits(user_id, message.reservation_id, metadata={"project": str(project_id)})
            await credits.release_credits(user_id, place.reservation_id, reason="taken by the project")
            made = await context.store.add_project(connection, user_id, project_id, draft)
            if made is None:
                # The same request has got here first. What this one held goes back.
                raise _MadeMeanwhileError
        return made


class _MadeMeanwhileError(Exception):
    """The same request under the same key has made the project a moment ago."""


async def _draft(context: Context, prompt: str) -> Draft:
    try:
        return await context.generate(prompt)
    except CreditsError:
        raise
    except Exception as error:
        _log.exception("generation failed")
        raise WorkFailed("The generation failed. Nothing was charged; try again.") from error


async def _events(pieces: AsyncIterator[str], spend: Spend) -> AsyncIterator[str]:
    # Nothing until the first piece has gone out, and nothing if it fails. A reader who leaves has had some of it.
    spend.cost = 0
    try:
        async for piece in pieces:
            spend.cost = 1
            yield _event("delta", {"text": piece})
    except Exception:
        _log.exception("chat failed")
        spend.cost = 0
        yield _event("error", {"detail": "The answer broke off. Nothing was charged; send the message again."})
    else:
        yield _event("done", {"charged": spend.cost})


def _event(name: str, data: dict[str, object]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_LENGTH else f"{line[: _TITLE_LENGTH - 1].rstrip()}…"
