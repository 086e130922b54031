"""`tollkeeper import enrolments`: all or nothing, errors by row, with and without a running daemon."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.acceptance.daemon_process import Site
from tests.integration.daemon_in_thread import rows_of
from tests.small_site import account

HEADER = "account,enrolled\n"


@pytest.fixture(params=[False, True], ids=["alone", "while the daemon runs"])
def at_work(provisioned: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A provisioned site, on which the daemon runs or not."""
    with provisioned.serving() if request.param else nullcontext() as daemon:
        yield provisioned
        assert daemon is None or daemon.is_running


def enrolled(site: Site) -> dict[str, bool]:
    rows = rows_of(site.store, "SELECT account, enrolled FROM enrolments ORDER BY account")
    return {number: bool(state) for number, state in rows}


def test_accounts_are_enrolled_and_cancelled_and_the_audit_log_says_by_whom(at_work: Site) -> None:
    first = at_work.write("first.csv", f"{HEADER}{account(0)},true\n{account(1)},TRUE\n{account(2)},false\n")
    assert at_work.answer("import", "enrolments", first) == (0, {"imported": 3, "errors": []})
    assert enrolled(at_work) == {account(0): True, account(1): True}
    second = at_work.write("second.csv", f"{HEADER}{account(0)},false\n{account(1)},true\n")
    ended = at_work.command("import", "enrolments", second)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"2 enrolments imported\n", b"")
    assert enrolled(at_work) == {account(0): False, account(1): True}
    done = rows_of(
        at_work.store, "SELECT actor, action, subject FROM audit_log WHERE action LIKE '%enrol%' ORDER BY id"
    )
    assert {actor.partition(":")[0] for actor, _, _ in done} == {"command"}
    assert [(action, subject) for _, action, subject in done] == [
        ("enrol", f"account {account(0)}"), ("enrol", f"account {account(1)}"),
        ("import enrolments", "file first.csv"),
        ("cancel enrolment", f"account {account(0)}"),
        ("import enrolments", "file second.csv"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (f"{HEADER}{account(0)},true\n{account(1)},yes\n", 3),
        (f"{HEADER}{account(0)},true\n4999999999,true\n", 3),
        (f"{HEADER}{account(0)},true\n{account(0)},false\n", 3),
        (f"account,enroled\n{account(0)},true\n", 1),
        ("", 1),
    ],
    ids=["a word that is neither", "an account not there", "an account twice", "an unknown column", "an empty file"],
)
def test_one_wrong_row_and_nothing_is_imported(at_work: Site, text: str, row: int) -> None:
    ended = at_work.command("import", "enrolments", at_work.write("new.csv", text))
    assert ended.returncode == 1
    assert ended.stdout == b""
    assert f"new.csv: row {row}, " in ended.stderr.decode()
    assert "nothing was imported: 1 error" in ended.stderr.decode()
    assert enrolled(at_work) == {}
