"""Bearer tokens (RFC 6750): who posts is told by the token."""

import hashlib

from aiohttp import web

from mediation.feeds.problems import Refusal


def token_digest(token: str) -> bytes:
    """Tokens are looked up by their digests, so that the time it takes says nothing about them."""
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=32).digest()


def token_sent(request: web.Request) -> str | None:
    """The token that a request carries."""
    return token_in(request.headers.get("Authorization", ""))


def token_in(authorization: str) -> str | None:
    """The token of an Authorization field."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def digest_sent(request: web.Request) -> bytes | None:
    """The digest of the token that a request carries."""
    token = token_sent(request)
    return None if token is None else token_digest(token)


def unknown_sender() -> Refusal:
    """401, for a request without a token that is known."""
    return Refusal(
        401, "send Authorization: Bearer with the token of a configured source", {"WWW-Authenticate": "Bearer"}
    )
