"""The texts that prove who somebody is: made of 256 random bits, and kept as digests only.

A digest needs no salt and no slow hash: there is nothing to guess. Whoever reads the store cannot sign in with it.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

_BYTES: Final = 32
_LONGEST: Final = 200
API_PREFIX: Final = "tk_"
"""By it a key is recognised where it should not lie, in a log or a repository."""


def new_session_token() -> str:
    """An opaque token for a cookie: 43 characters that need no quoting in a URL or a header."""
    return secrets.token_urlsafe(_BYTES)


def new_api_token() -> str:
    """An opaque token for a program."""
    return API_PREFIX + secrets.token_urlsafe(_BYTES)


def digest(token: str) -> bytes | None:
    """What is kept of a token; None for a text that is none."""
    if not token.isascii() or len(token) > _LONGEST:
        return None
    return hashlib.sha256(token.encode("ascii")).digest()


def csrf_token(session_token: str) -> str:
    """What the forms of a session carry: derived from its token, so that nothing needs to be kept.

    A form of another site cannot know it; it does not give the session's token away.
    """
    derived = hmac.digest(session_token.encode("utf-8", "replace"), b"tollkeeper csrf", "sha256")
    return base64.urlsafe_b64encode(derived).decode().rstrip("=")


def csrf_matches(session_token: str, given: str) -> bool:
    """Whether a form came from a page of this session."""
    return hmac.compare_digest(csrf_token(session_token).encode(), given.encode("utf-8", "replace"))
