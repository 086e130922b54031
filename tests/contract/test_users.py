"""Users, sign-in, sessions and tokens on a real store: what holds at once, what is kept, what is written down."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from argon2 import Parameters
from argon2.low_level import Type

from control import audit
from control.users import SESSION_S, PasswordRefused, Refused, Role, Session, UserRefused, Users, Via, Why
from control.users import rows as user_rows
from control.users.live_sessions import PER_USER
from control.users.passwords import Passwords, PasswordsBusy
from control.users.sign_in import BUSY_RETRY_S
from control.users.throttle import BY_NAME, MICROS
from mediation.schema import all_migrations
from rating.store.port import Store
from tests.builders import ACCOUNT, NOW, accounts_csv
from tests.contract.store_site import Engine

CHEAP = Parameters(Type.ID, 19, 8, 16, time_cost=1, memory_cost=8, parallelism=1)
DEARER = Parameters(Type.ID, 19, 8, 16, time_cost=2, memory_cost=16, parallelism=1)
GOOD, OTHER = "correct horse battery", "another good password"
CLIENT = "192.0.2.1"


class Office:
    """Users in a store, and a clock that the test sets."""

    store: Store
    users: Users

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.now = NOW

    async def open(self, parameters: Parameters = CHEAP) -> None:
        self.store = await self._engine.open(all_migrations())
        self.users = await Users.load(self.store, lambda: self.now, Passwords(parameters))

    async def close(self) -> None:
        self.users.close()
        await self.store.close()

    async def reopen(self, parameters: Parameters = CHEAP) -> None:
        await self.close()
        await self.open(parameters)

    async def add(self, name: str, role: Role = Role.STAFF, account: str | None = None) -> None:
        await self.users.add_user(name, role, account, None, GOOD, "command:root")

    async def sign_in(self, name: str = "ada", password: str = GOOD, client: str = CLIENT) -> str | Refused:
        return await self.users.sign_in(name, password, client, self.now)

    async def signed_in(self, name: str = "ada", password: str = GOOD) -> str:
        token = await self.sign_in(name, password)
        assert isinstance(token, str)
        return token

    def session(self, token: str) -> Session:
        session = self.users.session(token, self.now)
        assert session
        return session

    def is_live(self, token: str) -> bool:
        return self.users.session(token, self.now) is not None

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = await self.store.read(lambda cx: cx.execute(sql).fetchall())
        return found

    async def log(self) -> list[tuple[str, str, str]]:
        entries = await self.store.read(lambda cx: audit.entries(cx, limit=100))
        return [(entry.actor, entry.action, entry.subject) for entry in entries]


@pytest.fixture
async def office(engine: Engine) -> AsyncIterator[Office]:
    office = Office(engine)
    await office.open()
    await office.store.import_accounts(accounts_csv(), NOW)
    await office.add("ada")
    yield office
    await office.close()
    engine.check()


async def test_who_proves_their_password_has_a_session_until_it_ends(office: Office) -> None:
    token = await office.signed_in()
    session = office.session(token)
    assert (session.user.name, session.user.role, session.client) == ("ada", Role.STAFF, CLIENT)
    assert session.principal.actor == "ada"
    assert (session.principal.via, session.principal.session_id) == (Via.SESSION, session.id)
    assert not office.is_live(token[:-1])
    assert not office.is_live("")
    office.now += SESSION_S * MICROS - 1
    assert office.is_live(token)
    office.now += 1
    assert not office.is_live(token)


async def test_the_store_holds_neither_password_nor_token(office: Office) -> None:
    token = await office.signed_in()
    key = await office.users.add_token("billing", Role.STAFF, None, "ada")
    for table in ("users", "sessions", "api_tokens", "audit_log"):
        kept = repr(await office.rows(f"SELECT * FROM {table}"))
        assert kept != "[]"
        assert not any(secret in kept for secret in (GOOD, token, key))


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", OTHER), ("nobody", GOOD), ("off", GOOD), ("ada", ""), ("", ""), ("a:b", GOOD), ("ada", "x" * 5000),
     ("x" * 5000, GOOD), ("\ud800", GOOD), ("ADA", GOOD)],
    ids=["wrong password", "unknown", "disabled", "empty", "nothing", "no name", "long", "long name", "broken", "case"],
)  # fmt: skip
async def test_a_refusal_does_not_say_which_part_was_wrong(office: Office, name: str, password: str) -> None:
    await office.add("off")
    await office.users.disable("off", "ada")
    refused = [await office.sign_in(name, password) for _ in range(BY_NAME.free + 2)]
    right = Refused(Why.WRONG, 0)
    assert refused == [right] * BY_NAME.free + [Refused(Why.WRONG, 1), Refused(Why.WAIT, 1)]
    assert await office.rows("SELECT * FROM sessions") == []


async def test_who_waits_may_try_again_and_a_success_starts_afresh(office: Office) -> None:
    for _ in range(BY_NAME.free + 1):
        await office.sign_in(password=OTHER)
    assert await office.sign_in() == Refused(Why.WAIT, 1)
    office.now += MICROS
    await office.signed_in()
    assert await office.sign_in(password=OTHER) == Refused(Why.WRONG, 0)


async def test_many_guesses_at_once_are_not_all_looked_at(office: Office) -> None:
    said = await asyncio.gather(*(office.sign_in(password=f"guess number {n}") for n in range(20)))
    whys = [refused.why for refused in said if isinstance(refused, Refused)]
    assert whys.count(Why.WRONG) == BY_NAME.free + 1
    assert whys.count(Why.WAIT) == 20 - BY_NAME.free - 1


async def test_a_flood_of_sign_ins_is_told_to_come_again(office: Office) -> None:
    for n in range(60):
        await office.add(f"user {n}")
    said = await asyncio.gather(*(office.sign_in(f"user {n}", client=f"192.0.2.{n}") for n in range(60)))
    busy = [n for n, answer in enumerate(said) if isinstance(answer, Refused)]
    assert busy
    assert {said[n] for n in busy} == {Refused(Why.BUSY, BUSY_RETRY_S)}
    assert any(isinstance(answer, str) for answer in said)
    await office.signed_in(f"user {busy[0]}")


async def test_sessions_and_tokens_survive_a_restart_and_their_ends_too(office: Office) -> None:
    stays, ends = await office.signed_in(), await office.signed_in()
    key = await office.users.add_token("billing", Role.CUSTOMER, ACCOUNT, "ada")
    gone = await office.users.add_token("gone", Role.STAFF, None, "ada")
    await office.users.sign_out(ends)
    await office.users.revoke_token("gone", "ada")
    await office.reopen()
    assert office.is_live(stays)
    assert not office.is_live(ends)
    principal = office.users.by_token(key)
    assert principal
    assert (principal.name, principal.role, principal.account) == ("billing", Role.CUSTOMER, ACCOUNT)
    assert principal.actor == "token:billing"
    assert office.users.by_token(gone) is None
    office.now += SESSION_S * MICROS
    assert await office.store.read(user_rows.live_sessions, office.now) == []
    await office.reopen()
    assert not office.is_live(stays)


Ending = Callable[[Office, str], Any]
ENDINGS: dict[str, Ending] = {
    "signing out": lambda office, token: office.users.sign_out(token),
    "revoking": lambda office, token: office.users.revoke(office.session(token).id),
    "disabling": lambda office, _: office.users.disable("ada", "root"),
    "another password": lambda office, _: office.users.set_password("ada", OTHER, "root"),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
async def test_what_ends_is_over_at_once_for_them_and_nobody_else(office: Office, end: Ending) -> None:
    await office.add("bob")
    token, other = await office.signed_in(), await office.signed_in("bob")
    ending = asyncio.ensure_future(end(office, token))
    await ending
    assert not office.is_live(token)
    assert office.is_live(other)
    await office.reopen()
    assert not office.is_live(token)
    assert office.is_live(other)


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
async def test_an_end_that_nobody_waits_for_any_longer_is_an_end(office: Office, end: Ending) -> None:
    token = await office.signed_in()
    ended = asyncio.Event()
    really = office.store.transact

    async def transact(*work: Any) -> Any:
        ended.set()
        return await really(*work)

    office.store.transact = transact  # type: ignore[method-assign]  # to know when it is on its way
    ending = asyncio.ensure_future(end(office, token))
    await ended.wait()
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    assert not office.is_live(token)


async def test_a_disabled_user_signs_in_again_when_enabled_and_has_no_session_until_then(office: Office) -> None:
    before = await office.signed_in()
    await office.users.disable("ada", "root")
    assert await office.sign_in() == Refused(Why.WRONG, 0)
    await office.users.enable("ada", "root")
    await office.reopen()
    assert not office.is_live(before)
    await office.signed_in()


async def test_a_new_password_is_not_slowed_down_by_guesses_at_the_old_one(office: Office) -> None:
    for _ in range(BY_NAME.free + 3):
        await office.sign_in(password=OTHER)
    await office.users.set_password("ada", OTHER, "root")
    await office.signed_in(password=OTHER)


async def test_what_was_too_much_to_look_at_is_no_failure(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: object) -> bool:
        raise PasswordsBusy

    with monkeypatch.context() as patch:
        patch.setattr(Passwords, "verify", busy)
        for _ in range(BY_NAME.free + 3):
            assert await office.sign_in() == Refused(Why.BUSY, BUSY_RETRY_S)
    await office.signed_in()


async def test_an_own_new_password_under_way_does_not_undo_the_one_that_was_set(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal = office.session(await office.signed_in()).principal
    verify = Passwords.verify

    async def and_meanwhile(self: Passwords, known: str | None, password: str) -> bool:
        proved = await verify(self, known, password)
        await office.users.set_password("ada", OTHER, "root")
        return proved

    with monkeypatch.context() as patch:
        patch.setattr(Passwords, "verify", and_meanwhile)
        with pytest.raises(PasswordRefused, match="meantime"):
            await office.users.change_password(principal, GOOD, "a third good one")
    await office.signed_in(password=OTHER)


@pytest.mark.parametrize("end", [ENDINGS["disabling"], ENDINGS["another password"]], ids=["disabled", "password"])
async def test_a_sign_in_under_way_does_not_outlive_what_ends_it(
    office: Office, end: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Passwords.verify

    async def and_meanwhile(self: Passwords, known: str | None, password: str) -> bool:
        proved = await verify(self, known, password)
        await end(office, "")
        return proved

    monkeypatch.setattr(Passwords, "verify", and_meanwhile)
    assert await office.sign_in() == Refused(Why.WRONG, 0)
    assert office.users.sessions_of(1) == []
    assert await office.rows("SELECT * FROM sessions WHERE revoked_at IS NULL") == []


async def test_an_own_new_password_ends_the_other_sessions(office: Office) -> None:
    mine, other = await office.signed_in(), await office.signed_in()
    principal = office.session(mine).principal
    for old, new in ((OTHER, "x" * 12), (GOOD, "short"), (GOOD, "x" * 1001)):
        with pytest.raises(PasswordRefused):
            await office.users.change_password(principal, old, new)
    assert office.is_live(other)
    await office.users.change_password(principal, GOOD, OTHER)
    assert office.is_live(mine)
    assert not office.is_live(other)
    assert await office.sign_in() == Refused(Why.WRONG, 0)
    await office.reopen()
    assert [office.is_live(token) for token in (mine, other)] == [True, False]
    await office.signed_in(password=OTHER)


async def test_an_old_password_is_not_guessed_from_a_stolen_session(office: Office) -> None:
    principal = office.session(await office.signed_in()).principal
    for _ in range(BY_NAME.free + 1):
        with pytest.raises(PasswordRefused, match="old password"):
            await office.users.change_password(principal, OTHER, "x" * 12)
    with pytest.raises(PasswordRefused, match="again in 1 s"):
        await office.users.change_password(principal, GOOD, "x" * 12)


async def test_a_user_has_so_many_sessions_and_the_oldest_ends(office: Office) -> None:
    tokens = [await office.signed_in() for _ in range(PER_USER + 2)]
    assert [office.is_live(token) for token in tokens] == [False] * 2 + [True] * PER_USER
    await office.reopen()
    assert [office.is_live(token) for token in tokens] == [False] * 2 + [True] * PER_USER


async def test_a_hash_of_older_parameters_is_renewed_by_a_sign_in(office: Office) -> None:
    (before,) = await office.rows("SELECT password_hash, password_at FROM users")
    await office.reopen(DEARER)
    await office.sign_in(password=OTHER)
    assert await office.rows("SELECT password_hash, password_at FROM users") == [before]
    await office.signed_in()
    (after,) = await office.rows("SELECT password_hash, password_at FROM users")
    assert after[0] != before[0]
    assert after[1] == before[1]
    await office.signed_in()
    assert await office.rows("SELECT password_hash, password_at FROM users") == [after]


REFUSED: dict[str, tuple[Callable[[Users], Any], str]] = {
    "a user twice": (lambda u: u.add_user("ada", Role.AUDITOR, None, None, GOOD, "x"), "already"),
    "no such account": (lambda u: u.add_user("bob", Role.CUSTOMER, "1", None, GOOD, "x"), "no account '1'"),
    "a customer without": (lambda u: u.add_user("bob", Role.CUSTOMER, None, None, GOOD, "x"), "--account"),
    "staff with one": (lambda u: u.add_user("bob", Role.STAFF, ACCOUNT, None, GOOD, "x"), "--account"),
    "a short password": (lambda u: u.add_user("bob", Role.STAFF, None, None, "short", "x"), "too short"),
    "an unknown user": (lambda u: u.disable("bob", "x"), "no user 'bob'"),
    "not disabled": (lambda u: u.enable("ada", "x"), "not disabled"),
    "a password of nobody": (lambda u: u.set_password("bob", GOOD, "x"), "no user 'bob'"),
    "a token for no account": (lambda u: u.add_token("t", Role.CUSTOMER, "1", "x"), "no account '1'"),
    "an unknown token": (lambda u: u.revoke_token("t", "x"), "no token 't'"),
}


@pytest.mark.parametrize(("change", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_is_refused_in_words_and_changes_nothing(
    office: Office, change: Callable[[Users], Any], says: str
) -> None:
    before = [await office.rows(f"SELECT * FROM {table}") for table in ("users", "api_tokens", "audit_log")]
    with pytest.raises(UserRefused, match=says):
        await change(office.users)
    assert [await office.rows(f"SELECT * FROM {table}") for table in ("users", "api_tokens", "audit_log")] == before
    await office.add("bob")  # the store goes on


async def test_a_tokens_name_is_free_again_once_it_is_revoked(office: Office) -> None:
    old = await office.users.add_token("billing", Role.STAFF, None, "ada")
    with pytest.raises(UserRefused, match="already"):
        await office.users.add_token("billing", Role.STAFF, None, "ada")
    await office.users.revoke_token("billing", "ada")
    assert office.users.by_token(old) is None
    new = await office.users.add_token("billing", Role.AUDITOR, None, "ada")
    assert office.users.by_token(old) is None
    assert office.users.by_token(new)
    assert [(token.role, token.revoked_at is None) for token in await office.users.tokens()] == [
        (Role.STAFF, False),
        (Role.AUDITOR, True),
    ]


async def test_every_change_is_written_down_and_by_whom_newest_first(office: Office) -> None:
    token = await office.signed_in()
    await office.users.change_password(office.session(token).principal, GOOD, OTHER)
    await office.users.sign_out(token)
    await office.users.disable("ada", "bob")
    await office.users.add_token("t", Role.OPERATOR, None, "token:t0")
    await office.sign_in(password=OTHER)
    assert await office.log() == [
        ("token:t0", "add token", "token t"),
        ("bob", "disable user", "user ada"),
        ("ada", "sign out", "user ada"),
        ("ada", "change password", "user ada"),
        ("ada", "sign in", "user ada"),
        ("command:root", "add user", "user ada"),
    ]


async def test_the_log_is_read_page_by_page(office: Office) -> None:
    for n in range(4):
        await office.add(f"user {n}")
    first = await office.store.read(lambda cx: audit.entries(cx, limit=2))
    rest = await office.store.read(lambda cx: audit.entries(cx, limit=10, before=first[-1].id))
    assert [entry.subject for entry in (*first, *rest)] == [f"user user {n}" for n in (3, 2, 1, 0)] + ["user ada"]
    assert first[0].detail == "role staff"
    assert first[0].at == NOW
