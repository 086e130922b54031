"""What tests are made of: small, valid things, of which a test says only what matters to it.

The people are the contract's: account 4000012345 has the line +12125550142, and calls London by the tariff `standard`,
20 cents and 1.20 a minute.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from mediation.formats.ndjson import parse_line
from mediation.pipeline.front import Front
from rating.account import Account, Line
from rating.cdr import CDR, MICROS
from rating.directory import Directory, TariffBook, TariffVersion
from rating.line_services import ALWAYS, LineService, LineServices
from rating.rater import Rater
from rating.store.batch import COLUMNS, Batch, Position, Row, key_of
from rating.tariff import TariffText, parse_tariff

ACCOUNT: Final = "4000012345"
CALLING: Final = "12125550142"
CALLED: Final = "442079460018"
START: Final = "2026-11-20T09:07:31-05:00"

DECK_HEADER: Final = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments"
DECK: Final = ("4420,London,,0,0.20,1.20,60,60/60", "1,United States,,0,0,0.06,60,6/6")
"""No fallback: a call to anywhere else has no rate."""

ABSENT: Final = msgspec.UNSET
"""As the value of a record's field: the field is left out."""


def micros(text: str) -> int:
    """µs since 1970 of an RFC 3339 instant."""
    return (datetime.fromisoformat(text) - datetime.fromisoformat("1970-01-01T00:00:00Z")) // timedelta(microseconds=1)


NOW: Final = micros("2026-11-20T15:00:00Z")
"""The clock's reading: three quarters of an hour after `START`."""


def raw(text: str) -> msgspec.Raw:
    """A field's value as it stands in a record: raw("6.1e1")."""
    return msgspec.Raw(text.encode())


def cdr_json(**fields: Any) -> bytes:
    """A line of the native format, the call of the contract's example; `ABSENT` leaves a field out."""
    record = {
        "id": "a81f-0001",
        "calling": "+" + CALLING,
        "called": "+" + CALLED,
        "start": START,
        "duration": 61,
    }
    return msgspec.json.encode({name: value for name, value in (record | fields).items() if value is not ABSENT})


def a_cdr(**fields: Any) -> CDR:
    """The same call, already read; an `answer_at` of its own where it differs from `start_at`."""
    values = {
        "source": "pop-nyc",
        "id": "a81f-0001",
        "calling": CALLING,
        "called": CALLED,
        "start_at": micros(START),
        "offset_min": -300,
        "duration_us": 61 * MICROS,
    } | fields
    return CDR(**{"answer_at": values["start_at"]} | values)


def an_account(account: str = ACCOUNT, **fields: Any) -> Account:
    """An account in New York with the tariff `standard`, whose cycle begins with the month."""
    values = {
        "name": "Ada Lovelace",
        "email": None,
        "currency": "USD",
        "timezone": "America/New_York",
        "credit_limit_micros": None,
        "tariff": "standard",
        "agent": None,
        "cycle_day": 1,
    }
    return Account.of(account=account, **values | fields)


def a_line(line: str = CALLING, **fields: Any) -> Line:
    """The long-distance service of a line that the account always had."""
    values = {"service": "long-distance", "from_on": "", "account": ACCOUNT, "provider": "Transcontinental"}
    return Line(line=line, **values | fields)


def a_tariff_text(name: str = "standard", *rows: str, toml: str = "", currency: str = "USD") -> TariffText:
    """A tariff's two files; `rows` instead of the small deck, `toml` further lines such as `valid_from = "…"`."""
    head = f'name = "{name}"\ncurrency = "{currency}"\ntimezone = "UTC"\ndecimals = 4\ndeck = "{name}.csv"\n'
    deck = "\n".join((DECK_HEADER, *(rows or DECK))) + "\n"
    return TariffText(head + toml, deck, f"{name}.toml", f"{name}.csv")


def a_tariff_version(number: int, text: TariffText) -> TariffVersion:
    """What the directory makes of a stored tariff."""
    tariff = parse_tariff(text)
    valid_from_at = ALWAYS if tariff.valid_from_at is None else tariff.valid_from_at
    return TariffVersion(number, tariff.name, valid_from_at, Rater(tariff))


def services(lines: Iterable[Line], *accounts: Account) -> list[LineService]:
    """The services of lines as the store tells them, with what the accounts have that pay for them."""
    payers, made = {account.account: account for account in accounts}, LineServices().made
    numbers = {account.account: number for number, account in enumerate(accounts, 1)}
    return [
        made(
            line.line, line.account, numbers[line.account], line.from_on, line.provider, line.service,
            line.tariff or payer.tariff, payer.currency, payer.timezone, payer.cycle_day,
        )
        for line, payer in ((line, payers[line.account]) for line in lines)
    ]  # fmt: skip


def a_directory(
    accounts: Iterable[Account] | None = None,
    lines: Iterable[Line] | None = None,
    tariffs: Iterable[TariffText] | None = None,
    default_tariff: str | None = None,
    favourites: Mapping[str, tuple[str, ...]] | None = None,
) -> Directory:
    """One account with one line and one tariff, but for what is given; tariffs are numbered from 1."""
    texts = [a_tariff_text()] if tariffs is None else tariffs
    known = [an_account()] if accounts is None else list(accounts)
    return Directory(
        known,
        services([a_line()] if lines is None else lines, *known),
        TariffBook(a_tariff_version(number, text) for number, text in enumerate(texts, 1)),
        default_tariff,
        favourites,
    )


def a_position(sequence: int, epoch: str = "e1", body: bytes = b"body") -> Position:
    """Where a batch stands in its source's stream; `body` stands for the digest of its body."""
    return Position(epoch, sequence, body)


def a_batch(
    directory: Directory, *lines: bytes, source: int = 1, arrived_at: int = NOW, position: Position | None = None
) -> Batch:
    """Lines as they come out of the front, ready for the store."""
    maker = Front(directory).begin(f"source {source}", source, arrived_at, position)
    maker.add(list(lines), parse_line)
    return maker.batch


def a_row(**columns: Any) -> Row:
    """A transaction as it crosses the seam: the rated call of `a_cdr`, `columns` replaced."""
    values: dict[str, Any] = {
        "id": 1,
        "source": 1,
        "record_id": "a81f-0001",
        "start_at": micros(START),
        "offset_min": -300,
        "answer_at": micros(START),
        "duration_us": 61 * MICROS,
        "calling": CALLING,
        "called": CALLED,
        "line": CALLING,
        "account": ACCOUNT,
        "provider": "Transcontinental",
        "service": "long-distance",
        "service_given": 0,
        "type": "direct",
        "destination": "London",
        "charge_micros": 2_600_000,
        "tariff": 1,
        "billed_s": 120,
        "arrived_at": NOW,
    } | columns
    values.setdefault("key", key_of(values["source"], values["record_id"], values["start_at"]))
    values.setdefault("key", key_of(values["source"], values["record_id"], values["start_at"]))
    assert values.keys() <= set(COLUMNS), values.keys() - set(COLUMNS)
    return [values.get(name) for name in COLUMNS]


def accounts_csv(*rows: str) -> str:
    """An accounts.csv of the contract's columns; without rows the one account."""
    header = "account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day"
    return "\n".join((header, *(rows or [f"{ACCOUNT},Ada Lovelace,,USD,America/New_York,,standard,,1"]))) + "\n"


def lines_csv(*rows: str) -> str:
    """A lines.csv of the contract's columns, optional ones included; without rows the one line."""
    header = "line,account,provider,service,switch,tariff,from"
    return "\n".join((header, *(rows or [f"+{CALLING},{ACCOUNT},Transcontinental,long-distance,,,"]))) + "\n"
