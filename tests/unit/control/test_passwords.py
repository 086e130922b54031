"""Passwords: the rules, the hashes, and the bounds of the threads that make them."""

import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from argon2 import Parameters, extract_parameters
from argon2.low_level import Type

from control.users import PasswordRefused
from control.users.passwords import OWASP, Passwords, PasswordsBusy, check_password

CHEAP = Parameters(Type.ID, 19, 8, 16, time_cost=1, memory_cost=8, parallelism=1)
GOOD = "correct horse battery"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(CHEAP)
    yield made
    made.close()


@pytest.mark.parametrize("password", ["x" * 10, "x" * 1000, "          ", "пароль-пароль", GOOD])
def test_length_is_all_that_a_password_needs(password: str) -> None:
    check_password("ada", password)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", ""),
        ("ada", "x" * 9),
        ("ada", "x" * 1001),
        ("ada.lovelace", "ada.lovelace"),
        ("ada.lovelace", "ADA.Lovelace"),
        ("ada.lovelace", "\uff41da.lovelace"),
    ],
    ids=["none", "short", "long", "the name", "the name in capitals", "the name in wide letters"],
)
def test_a_password_that_is_none_is_refused(name: str, password: str) -> None:
    with pytest.raises(PasswordRefused) as refused:
        check_password(name, password)
    assert password not in str(refused.value) or not password


async def test_a_hash_proves_its_password_and_no_other(passwords: Passwords) -> None:
    hashed = await passwords.hashed(GOOD)
    assert GOOD not in hashed
    assert await passwords.hashed(GOOD) != hashed
    assert await passwords.verify(hashed, GOOD)
    for other in (GOOD + " ", GOOD.upper(), "", "\ud800", "\x00"):
        assert not await passwords.verify(hashed, other)


async def test_a_password_is_the_same_however_it_is_composed(passwords: Passwords) -> None:
    assert await passwords.verify(await passwords.hashed("Zoe\u0308 und Söhne"), "Zoë und So\u0308hne")


async def test_nobodys_password_is_never_right(passwords: Passwords) -> None:
    for password in (GOOD, "", "\x00"):
        assert not await passwords.verify(None, password)


@pytest.mark.parametrize("parameters", [CHEAP, OWASP], ids=["cheap", "OWASP"])
def test_nobodys_hash_costs_what_a_real_one_does(parameters: Parameters) -> None:
    passwords = Passwords(parameters)
    assert extract_parameters(passwords._nobodys) == parameters
    passwords.close()


async def test_a_hash_of_other_parameters_is_outdated(passwords: Passwords) -> None:
    dearer = Passwords(Parameters(Type.ID, 19, 8, 16, time_cost=2, memory_cost=16, parallelism=1))
    hashed = await passwords.hashed(GOOD)
    assert not passwords.is_outdated(hashed)
    assert dearer.is_outdated(hashed)
    assert await dearer.verify(hashed, GOOD)
    dearer.close()


async def test_beyond_its_bounds_it_is_busy_and_afterwards_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(CHEAP, workers=1, waiting=1)
    go_on = threading.Event()
    monkeypatch.setattr(passwords, "_hasher", SimpleNamespace(hash=lambda _: go_on.wait(20) and "a hash"))
    two = [asyncio.create_task(passwords.hashed(GOOD)) for _ in range(2)]
    await asyncio.wait(two, timeout=0)
    with pytest.raises(PasswordsBusy):
        await passwords.hashed(GOOD)
    with pytest.raises(PasswordsBusy):
        await passwords.verify(None, GOOD)
    go_on.set()
    assert await asyncio.gather(*two) == ["a hash", "a hash"]
    assert await passwords.hashed(GOOD) == "a hash"
    passwords.close()
