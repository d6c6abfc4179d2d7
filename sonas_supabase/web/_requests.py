"""What requests look like."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _storable(text: str) -> str:
    """Postgres stores neither NUL nor half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("This is not valid text.") from None
    if "\0" in text:
        raise ValueError("This is not valid text.")
    return text


Words = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=4000),
    AfterValidator(_storable),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GenerateRequest(_Request):
    """What to generate."""

    prompt: Words = Field(description="What the project should be, in the user's words.")


class ChatRequest(_Request):
    """A message about a project."""

    project_id: UUID
    message: Words


class PlanRequest(_Request):
    """The plan to move to."""

    plan: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")


class DemoPlanRequest(PlanRequest):
    """The plan to move to, or to move a workspace to."""

    workspace_id: UUID | None = None


class SignInRequest(_Request):
    """The demo user to be."""

    user_id: UUID


class SignUpRequest(_Request):
    """The address of a new demo user; made up when left out."""

    email: str | None = Field(
        default=None, pattern=r"^[a-z0-9._+-]{1,60}@example\.com$", description="Ends in @example.com."
    )
