"""`tollkeeper user` and `tollkeeper token`: with and without a running daemon, their words and their exit codes."""

import asyncio
import getpass
import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from control.users import Refused, Role, Users
from mediation.daemon import wall_clock
from mediation.schema import all_migrations
from rating.store.sqlite import open_store
from tests.acceptance.daemon_process import Site, one_line, run_here
from tests.integration.daemon_in_thread import rows_of
from tests.small_site import account

GOOD, OTHER = b"correct horse battery\n", b"another good password\n"


@pytest.fixture(params=[False, True], ids=["alone", "while the daemon runs"])
def at_work(provisioned: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A provisioned site, on which the daemon runs or not."""
    with provisioned.serving() if request.param else nullcontext() as daemon:
        yield provisioned
        assert daemon is None or daemon.is_running


@pytest.fixture
def staffed(provisioned: Site) -> Site:
    """A site with a user and a token."""
    done(provisioned, "user", "add", "ada", "--role", "staff")
    done(provisioned, "token", "add", "key", "--role", "staff")
    return provisioned


def command(site: Site, *arguments: str, stdin: bytes = GOOD) -> Any:
    return run_here(*arguments, "--config", site.config, stdin=stdin)


def done(site: Site, *arguments: str, stdin: bytes = GOOD) -> str:
    ended = command(site, *arguments, stdin=stdin)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == b""
    return str(ended.stdout.decode())


def users_of(site: Site) -> list[dict[str, Any]]:
    return list(json.loads(done(site, "user", "list", "--json"))["users"])


def may_sign_in(site: Site, name: str, password: bytes) -> bool:
    """As the daemon would see it at its next start."""

    async def ask() -> bool:
        store = await open_store(site.store, all_migrations(), wall_clock())
        users = await Users.load(store, wall_clock)
        try:
            answer = await users.sign_in(name, password.decode().strip(), "192.0.2.1", wall_clock())
            return not isinstance(answer, Refused)
        finally:
            users.close()
            await store.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("running", [False, True], ids=["alone", "while the daemon runs"])
def test_a_user_from_first_to_last(provisioned: Site, running: bool) -> None:
    site = provisioned
    with site.serving() if running else nullcontext():
        assert done(site, "user", "add", "ada", "--role", "staff", "--email", "ada@noc.example") == "user ada added\n"
        done(site, "user", "add", "bob", "--role", "customer", "--account", account(3))
        ada, bob = users_of(site)
        assert (ada["name"], ada["role"], ada["account"], ada["email"]) == ("ada", "staff", None, "ada@noc.example")
        assert (bob["name"], bob["role"], bob["account"], bob["email"]) == ("bob", "customer", account(3), None)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+Z", ada["created_at"])
        done(site, "user", "disable", "ada", stdin=b"")
        assert [user["disabled_at"] is None for user in users_of(site)] == [False, True]
        assert "disabled" in done(site, "user", "list").splitlines()[0]
        done(site, "user", "enable", "ada", stdin=b"")
        done(site, "user", "disable", "bob", stdin=b"")
        done(site, "user", "password", "ada", stdin=OTHER)
    assert may_sign_in(site, "ada", OTHER)
    assert not may_sign_in(site, "ada", GOOD)
    assert not may_sign_in(site, "bob", GOOD)
    of_users = "SELECT actor, action, subject, detail FROM audit_log WHERE subject LIKE 'user %' ORDER BY id"
    log = rows_of(site.store, of_users)[:2]
    assert [entry[1:] for entry in log] == [
        ("add user", "user ada", "role staff, e-mail ada@noc.example"),
        ("add user", "user bob", f"role customer, account {account(3)}"),
    ]
    assert all(entry[0].startswith("command:") for entry in log)


def test_a_token_is_the_only_line_and_shown_once(at_work: Site) -> None:
    token = done(at_work, "token", "add", "billing", "--role", "staff", stdin=b"")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43,}\n", token)
    done(at_work, "token", "add", "shop", "--role", "customer", "--account", account(1), stdin=b"")
    done(at_work, "token", "revoke", "billing", stdin=b"")
    told = done(at_work, "token", "list", "--json", stdin=b"")
    tokens = json.loads(told)["tokens"]
    assert [(token["name"], token["role"], token["account"]) for token in tokens] == [
        ("billing", "staff", None),
        ("shop", "customer", account(1)),
    ]
    assert [token["revoked_at"] is None for token in tokens] == [False, True]
    assert "revoked" in done(at_work, "token", "list", stdin=b"").splitlines()[0]
    assert token.strip() not in told
    assert token.strip().encode() not in at_work.store.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "says"),
    [
        pytest.param(("user", "add", "ada", "--role", "auditor"), GOOD, 1, "already", id="user exists"),
        pytest.param(("user", "add", "eve", "--role", "king"), GOOD, 2, "king", id="unknown role"),
        pytest.param(("user", "add", "eve"), GOOD, 2, "--role", id="no role"),
        pytest.param(("user", "add", "eve", "--role", "customer"), GOOD, 2, "--account", id="no account"),
        pytest.param(("user", "add", "eve", "--role", "agent", "--account", "1"), GOOD, 2, "--account", id="too much"),
        pytest.param(("user", "add", "eve", "--role", "customer", "--account", "1"), GOOD, 1, "'1'", id="not there"),
        pytest.param(("user", "add", "e:e", "--role", "staff"), GOOD, 2, "colon", id="colon"),
        pytest.param(("user", "add", "e\ne", "--role", "staff"), GOOD, 2, "printed", id="two lines"),
        pytest.param(("user", "add", "eve", "--role", "staff", "--email", "eve"), GOOD, 2, "e-mail", id="address"),
        pytest.param(("user", "add", "eve", "--role", "staff"), b"short\n", 1, "too short", id="short"),
        pytest.param(("user", "add", "eve", "--role", "staff"), b"x" * 20_000, 1, "too long", id="long"),
        pytest.param(("user", "add", "eve", "--role", "staff"), b"", 1, "one line", id="no password"),
        pytest.param(("user", "add", "eve", "--role", "staff"), b"\xff" * 20, 1, "UTF-8", id="bytes"),
        pytest.param(("user", "add", "evangelista", "--role", "staff"), b"Evangelista\n", 1, "name", id="the name"),
        pytest.param(("user", "disable", "eve"), b"", 1, "'eve'", id="disable nobody"),
        pytest.param(("user", "enable", "ada"), b"", 1, "not disabled", id="enable the enabled"),
        pytest.param(("user", "password", "eve"), GOOD, 1, "'eve'", id="nobody's password"),
        pytest.param(("token", "add", "key", "--role", "staff"), b"", 1, "already", id="token exists"),
        pytest.param(("token", "add", "k:y", "--role", "staff"), b"", 2, "colon", id="token's colon"),
        pytest.param(
            ("token", "add", "t", "--role", "customer", "--account", "1"), b"", 1, "'1'", id="token, not there"
        ),
        pytest.param(("token", "revoke", "t"), b"", 1, "'t'", id="revoke nothing"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    staffed: Site, arguments: tuple[str, ...], stdin: bytes, code: int, says: str
) -> None:
    before = rows_of(staffed.store, "SELECT * FROM audit_log")
    ended = command(staffed, *arguments, stdin=stdin)
    assert ended.returncode == code
    assert ended.stdout == b""
    assert says in one_line(ended.stderr)
    assert rows_of(staffed.store, "SELECT * FROM audit_log") == before


def test_the_daemon_refuses_in_the_same_words(provisioned: Site) -> None:
    with provisioned.serving() as daemon:
        done(provisioned, "user", "add", "ada", "--role", "staff")
        ended = command(provisioned, "user", "add", "ada", "--role", "staff")
        assert ended.returncode == 1
        assert "already" in one_line(ended.stderr)
        ended = command(provisioned, "token", "revoke", "t")
        assert ended.returncode == 1
        assert "no token 't'" in one_line(ended.stderr)
        assert GOOD.decode().strip() not in daemon.text


def test_at_a_terminal_the_password_is_asked_for_twice(provisioned: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["correct horse battery", "correct hose battery", *["correct horse battery"] * 2]
    monkeypatch.setattr(getpass, "getpass", lambda _: typed.pop(0))
    monkeypatch.setattr(
        "mediation.cli.user.sys", type("Terminal", (), {"stdin": type("In", (), {"isatty": lambda: True})})
    )
    ended = command(provisioned, "user", "add", "ada", "--role", "staff")
    assert ended.returncode == 1
    assert "not the same" in one_line(ended.stderr)
    done(provisioned, "user", "add", "ada", "--role", "staff")
    assert typed == []


def test_a_line_end_of_windows_is_no_part_of_a_password(provisioned: Site) -> None:
    done(provisioned, "user", "add", "ada", "--role", "staff", stdin=b"correct horse battery\r\nanything else\n")
    assert may_sign_in(provisioned, "ada", GOOD)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.CUSTOMER])
def test_every_role_of_the_contract_can_be_given(staffed: Site, role: Role) -> None:
    done(staffed, "token", "add", f"of {role}", "--role", role, stdin=b"")
