"""Tokens, their digests, and the forms' tokens that are derived from them."""

import re

import pytest

from control.users.tokens import csrf_matches, csrf_token, digest, new_api_token, new_session_token


@pytest.mark.parametrize("make", [new_session_token, new_api_token])
def test_a_token_is_256_bits_that_need_no_quoting(make: type[str]) -> None:
    made = {make() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"(tk_)?[A-Za-z0-9_-]{43}", token) for token in made)
    assert len({digest(token) for token in made}) == 50


@pytest.mark.parametrize(
    "text", ["é", "x" * 201, "\ud800", "x" * 10_000_000], ids=["not ASCII", "long", "broken", "very long"]
)
def test_what_is_no_token_has_no_digest(text: str) -> None:
    assert digest(text) is None


def test_a_digest_does_not_show_the_token() -> None:
    token = new_session_token()
    hashed = digest(token)
    assert hashed
    assert len(hashed) == 32
    assert token.encode() not in hashed


def test_a_form_matches_its_session_only() -> None:
    mine, other = new_session_token(), new_session_token()
    assert csrf_matches(mine, csrf_token(mine))
    assert csrf_token(mine) == csrf_token(mine)
    assert mine not in csrf_token(mine)
    for forged in ("", mine, csrf_token(other), csrf_token(mine)[:-1], csrf_token(mine) + "=", "é", "\ud800"):
        assert not csrf_matches(mine, forged)
