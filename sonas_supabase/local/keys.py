"""The keys of a local stack, of the kinds that a hosted project has, and the tokens they sign."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jwt

from sonas_supabase.local._problems import file_problems

ISSUER = "sonas-local"


@dataclass(frozen=True, slots=True)
class Keys:
    """The secret that signs tokens, and the two API keys that the gateway turns into roles."""

    jwt_secret: str
    secret_key: str
    publishable_key: str

    @classmethod
    def load(cls, directory: Path) -> Keys:
        """The keys of the stack in `directory`, made when there are none yet, readable by their owner alone."""
        path = directory / "keys.json"
        with file_problems(directory):
            if path.exists():
                return cls(**json.loads(path.read_text()))
            keys = cls.make()
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(asdict(keys), file, indent=2)
            return keys

    @classmethod
    def make(cls) -> Keys:
        """New random keys."""
        return cls(
            jwt_secret=secrets.token_urlsafe(48),
            secret_key=f"sb_secret_{secrets.token_urlsafe(24)}",
            publishable_key=f"sb_publishable_{secrets.token_urlsafe(24)}",
        )

    def token(self, *, role: str, user_id: str | None = None, lifetime: int = 3600, **claims: Any) -> str:
        """A signed JWT: `role` is authenticated, anon or service_role; `lifetime` in seconds."""
        now = int(time.time())
        payload = {
            "iss": ISSUER,
            "role": role,
            "aud": role if role == "authenticated" else None,
            "sub": user_id,
            "iat": now,
            "exp": now + lifetime,
            **claims,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, self.jwt_secret, algorithm="HS256")

    def role_of(self, api_key: str) -> str | None:
        """The role that an opaque API key stands for; None for any other string."""
        for key, role in ((self.secret_key, "service_role"), (self.publishable_key, "anon")):
            if secrets.compare_digest(key.encode(), api_key.encode()):
                return role
        return None
