"""Reading a tariff: defaults, every key, every reason for which it is refused, and its two files."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from rating.periods import DAY_S, Period
from rating.tariff import Tariff, TariffError, TariffText, parse_tariff, read_tariff_text, read_tariff_versions

LEAST = 'name = "standard"\ncurrency = "USD"\ndeck = "standard.csv"\n'
DECK = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments\n,World,,0,0,1,60,60/60\n"


def parse(toml: str, deck: str = DECK) -> Tariff:
    return parse_tariff(TariffText(toml=toml, deck=deck, toml_name="standard.toml", deck_name="standard.csv"))


def period(*lines: str) -> Period:
    """The one period of a tariff, from the lines of its table."""
    (found,) = parse("\n".join((LEAST, "[[period]]", *lines))).periods
    return found


def at(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_a_tariff_needs_no_more_than_name_currency_and_deck() -> None:
    tariff = parse(LEAST)
    assert (tariff.name, tariff.currency, tariff.timezone) == ("standard", "USD", "UTC")
    assert (tariff.decimals, tariff.rounding, tariff.valid_from_at) == (4, "half-up", None)
    assert tariff.periods == ()
    assert [row.destination for row in tariff.rows] == ["World"]


def test_a_tariff_says_what_its_keys_say() -> None:
    tariff = parse(
        f'{LEAST}timezone = "America/New_York"\nvalid_from = "2026-01-01"\ndecimals = 2\nrounding = "half-even"\n'
    )
    assert (tariff.timezone, tariff.decimals, tariff.rounding) == ("America/New_York", 2, "half-even")
    assert tariff.valid_from_at == at("2026-01-01T00:00:00-05:00")


@pytest.mark.parametrize(
    ("zone", "day", "instant"),
    [
        ("UTC", '"1970-01-01"', "1970-01-01T00:00:00+00:00"),
        ("America/New_York", "2026-07-01", "2026-07-01T00:00:00-04:00"),  # TOML's own local date
        ("America/Havana", '"2026-03-08"', "2026-03-08T01:00:00-04:00"),  # midnight is skipped
        ("America/Havana", '"2026-11-01"', "2026-11-01T00:00:00-04:00"),  # midnight comes twice
        ("Asia/Kathmandu", '"2026-01-01"', "2026-01-01T00:00:00+05:45"),
    ],
)
def test_a_tariff_is_valid_from_the_first_instant_of_its_local_day(zone: str, day: str, instant: str) -> None:
    assert parse(f'{LEAST}timezone = "{zone}"\nvalid_from = {day}\n').valid_from_at == at(instant)


@pytest.mark.parametrize(
    ("lines", "window"),
    [
        ([], Period("p")),
        (['from = "08:00"', 'to = "19:30"', "priority = -3"], Period("p", -3, 8 * 3_600, 19 * 3_600 + 1_800)),
        (['to = "00:01"'], Period("p", to_s=60)),
        (['from = "23:59"'], Period("p", from_s=DAY_S - 60)),
        (['days = "mon-fri"'], Period("p", weekdays=frozenset(range(5)))),
        (['days = "sat,sun"'], Period("p", weekdays=frozenset({5, 6}))),
        (['days = "mon-sun"'], Period("p", weekdays=frozenset(range(7)))),
        (['days = "sat-mon, wed"'], Period("p", weekdays=frozenset({5, 6, 0, 2}))),
        (['dates = ["2020-01-01", 2021-12-31]'], Period("p", dates=frozenset({date(2020, 1, 1), date(2021, 12, 31)}))),
        (['dates = ["01-01"]'], Period("p", yearly=frozenset({(1, 1)}))),
        (['dates = "02-29"'], Period("p", yearly=frozenset({(2, 29)}))),
        (['holidays = "US"'], Period("p", holidays="US")),
        (['holidays = "US-NY"'], Period("p", holidays="US-NY")),
    ],
)
def test_a_period_may_say(lines: list[str], window: Period) -> None:
    found = period('name = "p"', *lines)
    if "dates" in "".join(lines):  # both kinds of date were given, if one was
        window = Period("p", dates=window.dates or frozenset(), yearly=window.yearly or frozenset())
    assert found == window


def test_periods_of_one_name_stay_windows_of_their_own() -> None:
    over_midnight = (
        '[[period]]\nname = "night"\nfrom = "22:00"\n[[period]]\nname = "night"\nto = "06:00"\npriority = 1\n'
    )
    windows = parse(LEAST + over_midnight).periods
    assert [(window.name, window.from_s, window.to_s, window.priority) for window in windows] == [
        ("night", 22 * 3_600, DAY_S, 0),
        ("night", 0, 6 * 3_600, 1),
    ]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("", "name: is missing; add name"),
        ('currency = "USD"\ndeck = "d.csv"', "name: is missing; add name"),
        ('name = "n"\ndeck = "d.csv"', "currency: is missing; add currency"),
        ('name = "n"\ncurrency = "USD"', "deck: is missing; add deck"),
        ("name =", "is not TOML"),
        (f"{LEAST}{LEAST}", "is not TOML"),
        (f"x = {'[' * 5_000}", "is not TOML"),
        (f"{LEAST}decimals = {'9' * 5_000}", "is not TOML"),
        (LEAST.replace('"standard"', '""'), "name: '' is not a text"),
        (LEAST.replace('"standard"', "7"), "name: 7 is not a text"),
        (LEAST.replace('"standard"', '"a\\nb"'), "name: 'a\\nb' is not a text"),
        (LEAST.replace("USD", "usd"), "currency: 'usd' is not a currency"),
        (LEAST.replace("USD", "USDT"), "currency: 'USDT' is not a currency"),
        (LEAST.replace("USD", "US1"), "currency: 'US1' is not a currency"),
        (LEAST.replace("USD", "ÄÖÜ"), "currency: 'ÄÖÜ' is not a currency"),
        (LEAST.replace('"standard.csv"', "1"), "deck: 1 is not a text"),
        (f'{LEAST}colour = "red"', "'colour': unknown key; remove it; the keys here are name, currency, timezone,"),
        (f'{LEAST}Rounding = "up"', "'Rounding': unknown key"),
        (f"{LEAST}[limits]", "'limits': unknown key"),
        *(
            (f'{LEAST}timezone = "{zone}"', f"timezone: {zone!r} is unknown; use a name of the tz database")
            for zone in (
                "New York",
                "America",
                "America/Atlantis",
                "../etc/passwd",
                "/etc/localtime",
                "utc",
                "EST5EDT4",
            )
        ),
        (f'{LEAST}timezone = ""', "timezone: '' is not a text"),
        (f"{LEAST}timezone = -5", "timezone: -5 is not a text"),
        *(
            (f"{LEAST}valid_from = {day}", "valid_from: ")
            for day in ('"2026-02-30"', '"20260101"', '"2026-W01-1"', '"01-01"', "2026", "2026-01-01T00:00:00", '""')
        ),
        *((f"{LEAST}decimals = {text}", "decimals: ") for text in ("-1", "7", "4.0", '"4"', "true", "nan", "[4]")),
        *((f"{LEAST}rounding = {text}", "rounding: ") for text in ('"half-down"', '"Half-Up"', '"bankers"', "4", '""')),
        (f"{LEAST}period = 1", "period: is not a list of tables; begin each period with [[period]]"),
        (f'{LEAST}[period]\nname = "peak"', "period: is not a list of tables"),
        (f"{LEAST}period = [1]", "period: is not a list of tables"),
        (f"{LEAST}period = [{'{},' * 1_001}]", "period: 1001 periods are more than 1000"),
    ],
)
def test_a_key_that_is_wrong_is_refused_by_file_and_key(toml: str, words: str) -> None:
    with pytest.raises(TariffError) as refused:
        parse(toml)
    message = str(refused.value)
    assert message.startswith(f"standard.toml: {words}")
    assert "; " in message
    assert len(message.splitlines()) == 1


NOT_OF_A_PERIOD = {
    "from": ('"8:00"', '"08:60"', '"25:00"', '"24:01"', '"08.00"', '"08:00:00"', "8", "08:00:00", '""', '"٠٨:٠٠"'),
    "days": ('"monday"', '"Mon"', '"mon-"', '"-fri"', '"mon-wed-fri"', '"mon,,tue"', '"mon fri"', '""', "1", '["mon"]'),
    "dates": (
        *('["2026-02-29"]', '["02-30"]', '["13-01"]', '["1-1"]', '["2026-1-1"]', '"new year"'),
        *("[]", "[1]", "[2026-01-01T00:00:00]", '[["01-01"]]', "true"),
    ),
    "holidays": ('"XX"', '"us"', '"US-XX"', '"US-"', '"United States"', '"HolidayBase"', '"B3"', '""', '["US"]', "1"),
    "priority": ('"1"', "1.5", "true", "2147483648"),
}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "name: is missing"),
        (['name = "any"'], 'name: "any" is what holds where no period does'),
        (['name = " peak"'], "name: ' peak' begins or ends with a blank"),
        (['name = "p"', 'weekdays = "mon"'], "'weekdays': unknown key"),
        (['name = "p"', 'from = "08:00"', 'to = "08:00"'], "to: is not later than from; make a period over midnight"),
        (['name = "p"', 'from = "22:00"', 'to = "06:00"'], "to: is not later than from"),
        (['name = "p"', 'from = "24:00"'], "to: is not later than from"),
        (['name = "p"', 'to = "00:00"'], "to: is not later than from"),
        *((['name = "p"', f"{key} = {text}"], f"{key}: ") for key, texts in NOT_OF_A_PERIOD.items() for text in texts),
    ],
)
def test_a_period_that_is_wrong_is_refused_by_its_place_and_key(lines: list[str], words: str) -> None:
    toml = "\n".join((LEAST, "[[period]]", 'name = "good"', "[[period]]", *lines))
    with pytest.raises(TariffError) as refused:
        parse(toml)
    message = str(refused.value)
    assert message.startswith(f"standard.toml: period 2: {words}")
    assert "; " in message
    assert len(message.splitlines()) == 1


def test_a_deck_with_a_period_that_the_toml_does_not_define_is_refused() -> None:
    with pytest.raises(
        TariffError, match=r"standard.csv: line 2, period: 'peak' is a period that no \[\[period\]\] def"
    ):
        parse(LEAST, DECK.replace("World,", "World,peak"))


def test_a_tariff_is_read_with_the_deck_beside_it(tmp_path: Path) -> None:
    (tmp_path / "decks").mkdir()
    (tmp_path / "decks" / "world.csv").write_text(DECK)
    path = tmp_path / "standard.toml"
    path.write_text(LEAST.replace("standard.csv", "decks/world.csv"))
    text = read_tariff_text(path)
    assert text == TariffText(path.read_text(), DECK, str(path), str(tmp_path / "decks" / "world.csv"))
    assert len(parse_tariff(text).rows) == 1


def test_files_of_editors_that_begin_with_a_mark_and_end_lines_twice_are_read(tmp_path: Path) -> None:
    (tmp_path / "standard.csv").write_bytes(b"\xef\xbb\xbf" + DECK.replace("\n", "\r\n").encode())
    (tmp_path / "standard.toml").write_bytes(b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode())
    assert len(parse_tariff(read_tariff_text(tmp_path / "standard.toml")).rows) == 1


@pytest.mark.parametrize(
    ("toml", "deck", "words"),
    [
        (None, None, r"standard\.toml: cannot be read \(No such file or directory\); "),
        (LEAST.encode(), None, r"standard\.csv: cannot be read \(No such file or directory\); "),
        (b"\xff", None, r"standard\.toml: is not UTF-8 at byte 0; save it as UTF-8"),
        (LEAST.encode(), DECK.encode() + b"44,Perth\xe9", r"standard\.csv: is not UTF-8 at byte \d+; save it as UTF-8"),
        (b"name = ", None, r"standard\.toml: is not TOML \("),
        (b'name = "x"', None, r"standard\.toml: deck: is missing; "),
        (LEAST.replace("standard.csv", ".").encode(), None, r": cannot be read \(Is a directory\); "),
        (LEAST.encode() + b"#" * (1 << 20), None, r"standard\.toml: is longer than 1048576 bytes; "),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_its_name(
    tmp_path: Path, toml: bytes | None, deck: bytes | None, words: str
) -> None:
    for name, content in (("standard.toml", toml), ("standard.csv", deck)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(TariffError, match=words) as refused:
        read_tariff_text(tmp_path / "standard.toml")
    assert len(str(refused.value).splitlines()) == 1


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_tariff_or_is_refused_on_one_line(text: str) -> None:
    for toml in (text, f"{LEAST}{text}", f"{LEAST}timezone = '{text}'", f"{LEAST}[[period]]\nname = 'p'\n{text}"):
        message = ""
        try:
            parse(toml)
        except TariffError as refused:
            message = str(refused)
        assert len(message.splitlines()) <= 1


DATED = f"""{LEAST}valid_from = "2026-01-01"  # the new year
[deck_format]
defaults = {{ per_s = 60, increments = "1/1" }}
effective = "From"
"""
DATED_DECK = "prefix,rate,from\n44,1,\n44,2,2026-03-01\n"


def written(directory: Path, toml: str) -> Path:
    (directory / "standard.csv").write_text(DATED_DECK)
    (directory / "standard.toml").write_text(toml)
    return directory / "standard.toml"


@pytest.mark.parametrize("key", ['"2026-01-01"', "'2026-01-01'", "2026-01-01"])
def test_a_deck_with_later_days_makes_a_version_for_each(tmp_path: Path, key: str) -> None:
    path = written(tmp_path, DATED.replace('"2026-01-01"', key))
    texts = read_tariff_versions(path)
    assert texts[0] == read_tariff_text(path)
    assert [text.toml for text in texts] == [path.read_text(), path.read_text().replace(key, '"2026-03-01"')]
    tariffs = [parse_tariff(text) for text in texts]
    assert [tariff.valid_from_at for tariff in tariffs] == [at("2026-01-01T00:00:00Z"), at("2026-03-01T00:00:00Z")]
    assert [str(tariff.rows[0].rate) for tariff in tariffs] == ["1", "2"]


def test_a_valid_from_that_cannot_be_replaced_is_refused(tmp_path: Path) -> None:
    toml = DATED.replace("valid_from", '"valid_from"')
    with pytest.raises(TariffError, match=r"come into force on 2026-03-01, and valid_from cannot be replaced; write"):
        read_tariff_versions(written(tmp_path, toml))


def test_a_format_of_the_deck_is_checked_with_the_tariff() -> None:
    with pytest.raises(TariffError, match="deck_format: 'colour': unknown key"):
        parse(f"{LEAST}[deck_format]\ncolour = 1\n")


def test_a_workbook_needs_no_format_where_its_columns_are_the_contracts(tmp_path: Path) -> None:
    book = Workbook()
    for line in DECK.splitlines():
        book.active.append([cell or None for cell in line.split(",")])
    book.save(tmp_path / "standard.xlsx")
    path = tmp_path / "standard.toml"
    path.write_text(LEAST.replace("standard.csv", "standard.xlsx"))
    assert parse_tariff(read_tariff_text(path)).rows == parse(LEAST).rows
