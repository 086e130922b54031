"""Who pays for a call, as which service, and by which version of which tariff."""

import pytest

from rating.account import Line
from rating.cdr import CALL_TYPES, CDR
from rating.directory import Directory
from rating.line_services import ALWAYS, LineService
from tests.builders import a_cdr, a_directory, a_line, a_tariff_text, an_account, micros

CALLING, CALLED, CARD = "12125550142", "18005550100", "card:4929000000006"
ALICE, BOB, CAROL = an_account("alice"), an_account("bob"), an_account("carol")


def payer(directory: Directory, cdr: CDR) -> str | None:
    entry = directory.guide(cdr)
    return entry and entry.account


def guided(cdr: CDR, *lines: Line) -> LineService | None:
    return a_directory([ALICE, BOB, CAROL], lines).guide(cdr)


class TestWhoPays:
    DIRECTORY = a_directory(
        [ALICE, BOB, CAROL],
        [a_line(CALLING, account="alice"), a_line(CALLED, account="bob"), a_line(CARD, account="carol")],
    )

    @pytest.mark.parametrize(
        ("call_type", "account"),
        [
            ("direct", "alice"),
            ("operator", "alice"),
            ("calling-card", "carol"),
            ("collect", "bob"),
            ("third-number", "carol"),
            ("toll-free", "bob"),
            ("premium", "alice"),
            ("conference", "alice"),
            ("message", "alice"),
            ("data", "alice"),
        ],
    )
    def test_the_type_says_whose_line_pays(self, call_type: str, account: str) -> None:
        cdr = a_cdr(calling=CALLING, called=CALLED, type=call_type, charge_to=CARD)
        assert payer(self.DIRECTORY, cdr) == account

    def test_every_type_of_the_contract_is_in_the_table_above(self) -> None:
        (mark,) = self.test_the_type_says_whose_line_pays.pytestmark  # type: ignore[attr-defined]  # pytest's own
        assert {row[0] for row in mark.args[1]} == CALL_TYPES

    @pytest.mark.parametrize("call_type", ["calling-card", "third-number"])
    def test_nobody_pays_a_call_charged_to_nothing(self, call_type: str) -> None:
        assert payer(self.DIRECTORY, a_cdr(calling=CALLING, called=CALLED, type=call_type)) is None

    @pytest.mark.parametrize(
        ("call_type", "numbers"),
        [
            ("direct", {"calling": "19995550100"}),
            ("collect", {"called": "19995550100"}),
            ("toll-free", {"called": "19995550100"}),
            ("calling-card", {"charge_to": "card:0000"}),
        ],
    )
    def test_nobody_else_pays_where_the_paying_line_is_unknown(self, call_type: str, numbers: dict[str, str]) -> None:
        given = {"calling": CALLING, "called": CALLED, "charge_to": CARD} | numbers
        assert payer(self.DIRECTORY, a_cdr(type=call_type, **given)) is None

    def test_a_direct_call_is_not_paid_by_charge_to(self) -> None:
        assert payer(self.DIRECTORY, a_cdr(calling=CALLING, charge_to=CARD)) == "alice"

    @pytest.mark.parametrize("line", ["sip:ada@example.net", "ip:192.0.2.7"])
    def test_addresses_are_matched_exactly(self, line: str) -> None:
        directory = a_directory([ALICE], [a_line(line, account="alice")])
        assert payer(directory, a_cdr(calling=line)) == "alice"
        assert payer(directory, a_cdr(calling=line.upper())) is None
        assert payer(directory, a_cdr(calling=line + "x")) is None


class TestServices:
    FAX, VOICE = a_line(account="alice", service="fax"), a_line(account="alice", service="local")

    @pytest.mark.parametrize(
        ("rows", "given", "service"),
        [
            ([FAX], None, "fax"),
            ([FAX], "fax", "fax"),
            ([FAX], "local", None),
            ([FAX, VOICE], None, "fax"),
            ([VOICE, FAX], None, "local"),
            ([FAX, VOICE], "local", "local"),
            ([FAX, VOICE], "data", None),
            ([FAX], "", None),
            ([FAX, VOICE], "", None),
        ],
    )
    def test_a_record_without_service_takes_the_lines_first_row(
        self, rows: list[Line], given: str | None, service: str | None
    ) -> None:
        entry = guided(a_cdr(service=given), *rows)
        assert (entry and entry.terms.service) == service

    def test_each_service_has_its_own_provider_and_tariff(self) -> None:
        rows = (a_line(account="alice", provider="A", tariff="x"), a_line(account="alice", service="fax", provider="B"))
        entry = guided(a_cdr(service="fax"), *rows)
        assert entry is not None
        assert (entry.terms.provider, entry.terms.tariff) == ("B", "standard")


class TestDates:
    MIDNIGHT = "2026-06-01T00:00:00-04:00"

    @pytest.mark.parametrize(
        ("answer", "account"),
        [
            ("1970-01-01T00:00:00Z", "alice"),
            ("2026-06-01T03:59:59.999999Z", "alice"),
            (MIDNIGHT, "bob"),
            ("2026-08-31T23:59:59-04:00", "bob"),
            ("2026-09-01T00:00:00-04:00", "carol"),
            ("2039-01-01T00:00:00Z", "carol"),
        ],
    )
    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
    def test_the_account_that_had_the_line_at_the_answer_pays(
        self, answer: str, account: str, order: tuple[int, ...]
    ) -> None:
        rows = (
            a_line(account="alice"),
            a_line(account="bob", from_on="2026-06-01"),
            a_line(account="carol", from_on="2026-09-01"),
        )
        entry = guided(a_cdr(answer_at=micros(answer)), *(rows[place] for place in order))
        assert entry is not None
        assert entry.account == account

    @pytest.mark.parametrize(("answer", "known"), [("2026-06-01T03:59:59Z", False), (MIDNIGHT, True)])
    @pytest.mark.parametrize("further", [[], [a_line(account="bob", from_on="2027-01-01")]])
    def test_before_its_first_date_a_line_is_unknown(self, answer: str, known: bool, further: list[Line]) -> None:
        cdr = a_cdr(answer_at=micros(answer))
        assert (guided(cdr, a_line(account="alice", from_on="2026-06-01"), *further) is not None) is known

    @pytest.mark.parametrize(
        ("zone", "day", "starts"),
        [
            ("Asia/Tokyo", "2026-06-01", "2026-06-01T00:00:00+09:00"),
            ("Africa/Cairo", "2026-04-24", "2026-04-24T01:00:00+03:00"),  # that day had no midnight
            ("America/Havana", "2026-11-01", "2026-11-01T00:00:00-04:00"),  # that one had two
            ("Asia/Tokyo", "1970-01-01", "1969-12-31T15:00:00Z"),
        ],
    )
    def test_a_date_begins_with_the_day_in_the_accounts_zone(self, zone: str, day: str, starts: str) -> None:
        directory = a_directory([an_account("a", timezone=zone)], [a_line(account="a", from_on=day)])
        assert directory.guide(a_cdr(answer_at=micros(starts))) is not None
        assert directory.guide(a_cdr(answer_at=micros(starts) - 1)) is None

    @pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
    @pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
    def test_the_first_and_the_last_day_that_there_is_can_be_given(self, zone: str, day: str) -> None:
        directory = a_directory([an_account("a", timezone=zone)], [a_line(account="a", from_on=day)])
        assert (directory.guide(a_cdr()) is not None) is (day < "2026")

    def test_the_first_row_counts_among_those_whose_date_has_come(self) -> None:
        rows = (a_line(account="alice", service="fax", from_on="2026-12-01"), a_line(account="alice", service="local"))
        entry = guided(a_cdr(), *rows)
        assert entry is not None
        assert entry.terms.service == "local"


class TestTariffs:
    @pytest.mark.parametrize(
        ("line", "account", "default", "tariff"),
        [
            ("gold", "silver", "bronze", "gold"),
            (None, "silver", "bronze", "silver"),
            (None, None, "bronze", "bronze"),
            (None, None, None, None),
            ("gold", None, None, "gold"),
        ],
    )
    def test_the_lines_tariff_comes_before_the_accounts_and_that_before_the_default(
        self, line: str | None, account: str | None, default: str | None, tariff: str | None
    ) -> None:
        directory = a_directory(
            [an_account("a", tariff=account)], [a_line(account="a", tariff=line)], default_tariff=default
        )
        assert directory.terms_of(CALLING, "a", "long-distance", a_cdr().answer_at) == (tariff, "USD")

    BOOK = a_directory(
        tariffs=[
            a_tariff_text("standard", toml='valid_from = "2026-06-01"'),
            a_tariff_text("standard"),
            a_tariff_text("standard", toml='valid_from = "2027-01-01"'),
            a_tariff_text("new", toml='valid_from = "2027-01-01"'),
            a_tariff_text("standard", toml='valid_from = "2026-06-01"\nrounding = "up"'),
        ]
    ).tariffs

    @pytest.mark.parametrize(
        ("name", "at", "version"),
        [
            ("standard", "1970-01-01T00:00:00Z", 2),
            ("standard", "2026-05-31T23:59:59.999999Z", 2),
            ("standard", "2026-06-01T00:00:00Z", 5),  # imported after 1, with its date
            ("standard", "2026-12-31T23:59:59Z", 5),
            ("standard", "2027-01-01T00:00:00Z", 3),
            ("new", "2026-12-31T23:59:59.999999Z", None),
            ("new", "2027-01-01T00:00:00Z", 4),
            ("other", "2026-06-01T00:00:00Z", None),
        ],
    )
    def test_the_version_in_force_at_the_answer_counts(self, name: str, at: str, version: int | None) -> None:
        found = self.BOOK.in_force(name, micros(at))
        assert (found and found.id) == version

    def test_before_its_first_version_a_tariff_of_several_is_not_in_force(self) -> None:
        book = a_directory(
            tariffs=[a_tariff_text(toml=f'valid_from = "{year}-01-01"') for year in (2027, 2026)]
        ).tariffs
        assert book.in_force("standard", micros("2025-12-31T23:59:59Z")) is None
        assert len(book) == 2

    def test_a_tariff_without_date_holds_always(self) -> None:
        found = a_directory().tariffs.in_force("standard", ALWAYS)
        assert found is not None
        assert found.valid_from_at == ALWAYS


def test_a_directory_knows_how_many_numbers_it_has() -> None:
    assert a_directory([ALICE], [a_line(account="alice"), a_line(account="alice", service="fax")]).numbers == 1


@pytest.mark.parametrize(
    ("account", "service", "at", "tariff"),
    [
        ("alice", "long-distance", "2026-02-01T00:00:00Z", "first"),
        ("alice", "long-distance", "2026-09-01T00:00:00Z", "later"),
        ("alice", "long-distance", "2025-12-01T00:00:00Z", "alices"),  # before any row held
        ("alice", "roaming", "2026-09-01T00:00:00Z", "alices"),
        ("bob", "long-distance", "2026-09-01T00:00:00Z", "fallback"),  # the line is another's by now
    ],
)
@pytest.mark.parametrize("rows", [1, 2])
def test_what_was_guided_before_is_rated_by_the_lines_row_of_its_account_and_service(
    account: str, service: str, at: str, tariff: str, rows: int
) -> None:
    lines = [
        a_line(CALLING, account="alice", service="long-distance", tariff="first", from_on="2026-01-01"),
        a_line(CALLING, account="alice", service="long-distance", tariff="later", from_on="2026-06-01"),
    ][:rows]
    accounts = [an_account("alice", tariff="alices", currency="EUR"), an_account("bob", tariff=None, currency="EUR")]
    directory = a_directory(accounts, lines, default_tariff="fallback")
    expected = "first" if rows == 1 and tariff == "later" else tariff
    assert directory.terms_of(CALLING, account, service, micros(at)) == (expected, "EUR")
