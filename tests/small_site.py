"""A small site: the configuration, provisioning files and records that the tests of a whole daemon share."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKENS = {"pop-a": "token-of-pop-a", "pop-b": "token-of-pop-b"}
"""The sources of the feed `pops`, with their tokens."""

LONDON = "+442079460018"
BOSTON = "+16175550123"
NOWHERE = "+8835100012345"
"""A number without a rate."""
STRANGER = "+19995550100"
"""A line that nobody has."""

TARIFF = """\
name = "standard"
currency = "USD"
timezone = "America/New_York"
valid_from = "2020-01-01"
decimals = 4
deck = "standard.csv"
"""
DECK = """\
prefix,destination,period,after_s,connect_fee,rate,per_s,increments
4420,London,,0,0.0500,0.6000,60,1/1
1,Home,,0,0,0.0600,60,60/6
"""


def account(n: int) -> str:
    """The n-th account's number."""
    return f"40000{n:05d}"


def line(n: int) -> str:
    """The n-th account's line."""
    return f"+1212555{n:04d}"


def london_charge(seconds: int) -> str:
    """What a call to London costs by the tariff above: 0.05 and a cent a second."""
    return f"{(5 + seconds) // 100}.{(5 + seconds) % 100:02d}00"


def accounts_csv(numbers: Iterable[int]) -> str:
    rows = (
        f"{account(n)},Customer {n},c{n}@customers.example,USD,America/New_York,2500.00,standard,,1\n" for n in numbers
    )
    return "account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day\n" + "".join(rows)


def lines_csv(numbers: Iterable[int]) -> str:
    rows = (f"{line(n)},{account(n)},Transcontinental,long-distance,\n" for n in numbers)
    return "line,account,provider,service,switch\n" + "".join(rows)


@dataclass(frozen=True)
class ProvisioningFiles:
    """In the order in which they have to be imported."""

    tariff: Path
    accounts: Path
    lines: Path


def write_provisioning(directory: Path, numbers: Iterable[int] = range(8)) -> ProvisioningFiles:
    """Writes the tariff and its deck, and accounts with one line each."""
    numbers = list(numbers)
    directory.mkdir(exist_ok=True)
    files = ProvisioningFiles(directory / "standard.toml", directory / "accounts.csv", directory / "lines.csv")
    files.tariff.write_text(TARIFF)
    (directory / "standard.csv").write_text(DECK)
    files.accounts.write_text(accounts_csv(numbers))
    files.lines.write_text(lines_csv(numbers))
    return files


def write_config(directory: Path, store: Path | None = None, *, feed: str = "", in_store: str = "") -> Path:
    """Writes tollkeeper.toml with free ports; `feed` and `in_store` are further lines of [feeds.pops] and [store]."""
    directory.mkdir(exist_ok=True)
    sources = "".join(f'[feeds.pops.sources.{name}]\ntoken = "{token}"\n' for name, token in TOKENS.items())
    config = directory / "tollkeeper.toml"
    config.write_text(
        f'[store]\nurl = "sqlite:///{(store or directory / "tollkeeper.db").absolute()}"\n{in_store}\n'
        f'[ops]\nlisten = "127.0.0.1:0"\n'
        f'[feeds.pops]\ntype = "pop"\nlisten = "127.0.0.1:0"\n{feed}\n{sources}'
    )
    return config


def a_record(id_: str, **fields: Any) -> dict[str, Any]:
    """A call of 61 s from the first account's line to London, which costs 0.6600; None takes a field away."""
    call = {
        "id": id_,
        "calling": line(0),
        "called": LONDON,
        "start": "2025-11-20T09:07:31.250-05:00",
        "answer": "2025-11-20T09:07:35-05:00",
        "duration": 61,
        "type": "direct",
        "service": "long-distance",
        **fields,
    }
    return {name: value for name, value in call.items() if value is not None}


def some_records(count: int, prefix: str = "r") -> list[dict[str, Any]]:
    """Calls that differ only in their ids."""
    return [a_record(f"{prefix}-{n}") for n in range(count)]


def ndjson(*records: dict[str, Any] | bytes, end: bytes = b"\n") -> bytes:
    """A batch; what is bytes already stands as it is."""
    return b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + end for r in records)
