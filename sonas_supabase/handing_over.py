"""Handing a hold over to another process: the text that a queue carries, and what it says."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from uuid import UUID

from sonas_supabase._parse import parse
from sonas_supabase.errors import InvalidArgument, UnexpectedAnswer
from sonas_supabase.models import Reservation
from sonas_supabase.untrusted import read_base64_json


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldToken:
    """A hold, and whose it is. Its text is as good as the credits it holds: keep it between servers."""

    user_id: UUID
    workspace_id: UUID | None
    reservation: Reservation
    ttl_seconds: int
    """How long the hold lives on while the process that has taken it up says nothing."""

    def to_text(self) -> str:
        """As letters, digits, ``-`` and ``_``."""
        return base64.urlsafe_b64encode(json.dumps(asdict(self), default=str).encode()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> HoldToken:
        """What :meth:`to_text` wrote.

        Raises:
            InvalidArgument: it is none.
        """
        try:
            return parse(cls, read_base64_json(text))
        except (ValueError, TypeError, binascii.Error, UnexpectedAnswer) as error:
            raise InvalidArgument(
                "This is no token of a hold.", details={"argument": "token"}, hint="Pass what detach() answered."
            ) from error
