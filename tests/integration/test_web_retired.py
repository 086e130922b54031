"""Who searches for calls of a month that is retired is told so, in the sentence that says what is shown."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control.users import Role
from tests.integration.web_site import ADA, WebSite, opened


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    """A site from which January and February 2025 have been retired."""
    async with opened(tmp_path) as site:
        await site.store.transact(
            lambda cx: cx.executemany(
                "INSERT INTO retired_months (month, state, last_id, closed_at) VALUES (?, ?, 0, 0)",
                [(202501, "dropped"), (202502, "retired"), (202503, "closed")],
            )
        )
        yield site


@pytest.mark.parametrize("role", [Role.STAFF, Role.CUSTOMER])
@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            "op=between&value=2025-01-05..2025-03-04",
            "; those of 2025-01 to 2025-02 are in the archive, and not searched",
        ),
        ("op=between&value=2025-01-05..2025-01-06", "; those of 2025-01 are in the archive, and not searched"),
        ("op=%3E%3D&value=2025-03-02", None),
    ],
    ids=["both", "one", "neither"],
)
async def test_a_search_of_retired_months_says_so(web: WebSite, role: Role, query: str, words: str | None) -> None:
    program = await web.program(role, ADA if role is Role.CUSTOMER else None)
    sentence = (await program.json(f"/api/v1/transactions?column=start&{query}"))["sentence"]
    assert sentence.endswith(words) if words else "archive" not in sentence, sentence


async def test_a_search_of_any_time_says_nothing_of_it(web: WebSite) -> None:
    program = await web.program(Role.STAFF)
    assert "archive" not in (await program.json("/api/v1/transactions"))["sentence"]
