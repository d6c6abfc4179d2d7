"""Supabase's access tokens: is it one of ours, is it still good, and whose is it."""

from __future__ import annotations

import logging
import os
from typing import Any, Literal, NoReturn
from uuid import UUID

import jwt
from dotenv import dotenv_values, find_dotenv
from jwt import PyJWK

from sonas_supabase import NotConfigured
from sonas_supabase.fastapi._jwks import ASYMMETRIC, KeySet
from sonas_supabase.fastapi._user import User
from sonas_supabase.fastapi.errors import NotAuthenticated
from sonas_supabase.untrusted import read_base64_json

_SHORTEST_SECRET = 32
_LATEST = 2**53
_ROLE = "authenticated"
_LEVELS = ("aal1", "aal2")

_log = logging.getLogger("sonas_supabase")

_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "The token has expired."),
    (jwt.ImmatureSignatureError, "The token is not valid yet."),
    (jwt.InvalidAudienceError, "The token is for another audience."),
    (jwt.InvalidIssuerError, "The token is from another issuer."),
    (jwt.MissingRequiredClaimError, "The token lacks a claim that is required."),
    (jwt.InvalidSignatureError, "The signature is not right."),
)


class SupabaseAuth:
    """Verifies the access tokens that Supabase Auth gives to signed-in users.

    Tokens signed with a project's asymmetric keys (ES256, RS256, EdDSA) are verified with the keys that the project
    publishes; HS256 tokens with the legacy secret, and only where one is given.

    Args:
        url: the project's ``SUPABASE_URL``; its keys are at ``/auth/v1/.well-known/jwks.json``.
        jwks_url: another address of the keys.
        jwt_secret: the legacy JWT secret, of at least 32 bytes.
        audience: what ``aud`` must say.
        issuer: what ``iss`` must say, and be there. By default a token that names a project has to name this one:
            ``<url>/auth/v1``.
        allow_anonymous: whether anonymous sign-ins may do what signed-in users may.
        assurance_level: ``aal2`` for sessions with a second factor only.
        leeway: seconds that clocks may differ by.
        jwks_ttl: seconds that fetched keys are used without asking again.
        jwks_min_interval: seconds between two fetches on account of a key id that is not known.
        jwks_stale_for: seconds past ``jwks_ttl`` that known keys still count while they cannot be fetched.

    Raises:
        NotConfigured: neither keys nor a secret, or a secret that can be guessed.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        jwks_url: str | None = None,
        jwt_secret: str | None = None,
        audience: str = "authenticated",
        issuer: str | None = None,
        allow_anonymous: bool = True,
        assurance_level: Literal["aal1", "aal2"] = "aal1",
        leeway: float = 10.0,
        jwks_ttl: float = 600.0,
        jwks_min_interval: float = 30.0,
        jwks_stale_for: float = 3600.0,
    ) -> None:
        if jwks_url is None and url:
            jwks_url = f"{url.rstrip('/')}/auth/v1/.well-known/jwks.json"
        if not (jwks_url or jwt_secret):
            raise NotConfigured("Tokens cannot be verified: set SUPABASE_URL, or SUPABASE_JWT_SECRET.")
        if jwt_secret and len(jwt_secret.encode()) < _SHORTEST_SECRET:
            raise NotConfigured(f"SUPABASE_JWT_SECRET has fewer than {_SHORTEST_SECRET} bytes.")
        self._keys = (
            KeySet(jwks_url, ttl=jwks_ttl, min_interval=jwks_min_interval, stale_for=jwks_stale_for)
            if jwks_url
            else None
        )
        self._secret = jwt_secret
        self._audience = audience
        self._issuer = issuer
        self._project = f"{url.rstrip('/')}/auth/v1" if url else None
        self._allow_anonymous = allow_anonymous
        if assurance_level not in _LEVELS:
            raise NotConfigured(f"assurance_level={assurance_level!r} is none: it is one of {', '.join(_LEVELS)}.")
        self._level = _LEVELS.index(assurance_level)
        self._has_told = False
        self._leeway = leeway

    @classmethod
    def from_env(cls) -> SupabaseAuth:
        """With ``SUPABASE_URL`` and, where it is set, ``SUPABASE_JWT_SECRET``, also from ``.env``.

        Raises:
            NotConfigured: neither is set.
        """
        values = {**dotenv_values(find_dotenv(usecwd=True)), **os.environ}
        return cls(values.get("SUPABASE_URL"), jwt_secret=values.get("SUPABASE_JWT_SECRET") or None)

    async def user(self, authorization: str | None) -> User:
        """The user that the ``Authorization`` header names.

        Raises:
            NotAuthenticated: there is no token, or not a good one.
            CreditsUnavailable: the keys to verify it with cannot be had.
        """
        claims = await self._claims(_bearer(authorization))
        user = _user(claims)
        if user.is_anonymous and not self._allow_anonymous:
            raise NotAuthenticated("Anonymous users have to sign up first.")
        level = claims.get("aal")
        if self._level > (_LEVELS.index(level) if level in _LEVELS else 0):
            raise NotAuthenticated("The session has no second factor, which is required here.")
        return user

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            _check_nesting(token)
            header = jwt.get_unverified_header(token)
            algorithm = str(header.get("alg"))
            key = await self._key(algorithm, header.get("kid"), _issued_at(token))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.PyJWTError as error:
            _refuse(error)
        self._check_issuer(claims)
        return claims

    def _check_issuer(self, claims: dict[str, Any]) -> None:
        """Refuse the tokens of another project, which may have been given the same secret."""
        issuer = claims.get("iss")
        names_a_project = isinstance(issuer, str) and "://" in issuer
        if self._issuer is None and self._project and names_a_project and issuer != self._project:
            raise NotAuthenticated("The token is from another issuer.")

    async def _key(self, algorithm: str, key_id: object, issued_at: float | None) -> PyJWK | str:
        """The key for that algorithm alone: a public key must never do as the secret of an HS256 token."""
        if algorithm == "HS256" and self._secret:
            return self._secret
        if algorithm in ASYMMETRIC and self._keys and isinstance(key_id, str):
            key = await self._keys.find(key_id, issued_at)
            if key is None:
                raise NotAuthenticated("The token is signed with a key that is not known.")
            if key.algorithm_name == algorithm:
                return key
        if algorithm == "HS256" and not self._has_told:
            self._has_told = True
            _log.warning(
                "A token is signed with the project's legacy secret, and there is none here to verify it with. Set "
                "SUPABASE_JWT_SECRET (Dashboard, Settings, JWT Keys), or migrate the project to signing keys."
            )
        raise NotAuthenticated("The token is signed in a way that is not accepted.")


def _check_nesting(token: str) -> None:
    """Refuse what is nested so deeply that reading it could end the process, before anything reads it."""
    for part in token.split(".")[:2]:
        try:
            read_base64_json(part)
        except ValueError as error:
            raise jwt.DecodeError("It is no JSON of the depth of a token.") from error


def _issued_at(token: str) -> float | None:
    """When the token says that it was issued. Not verified: good for a guess alone."""
    issued_at = jwt.decode(token, options={"verify_signature": False}).get("iat")
    # A number of four hundred digits is none that a float can be.
    if isinstance(issued_at, int | float) and 0 <= issued_at <= _LATEST:
        return float(issued_at)
    return None


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise NotAuthenticated
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticated
    return token.strip()


def _refuse(error: Exception) -> NoReturn:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            raise NotAuthenticated(reason) from error
    raise NotAuthenticated("The token cannot be read.") from error


def _user(claims: dict[str, Any]) -> User:
    if claims.get("role") != _ROLE:
        raise NotAuthenticated("The token is not a signed-in user's.")
    try:
        user_id = UUID(claims["sub"])
    except (ValueError, TypeError, AttributeError) as error:
        raise NotAuthenticated("The token does not name a user.") from error
    email = claims.get("email")
    return User(
        id=user_id,
        email=email if isinstance(email, str) and email else None,
        is_anonymous=claims.get("is_anonymous") is True,
        claims=claims,
    )
