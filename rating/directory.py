"""Who has which line, and by which tariff it is rated: the provisioning as the pipeline looks it up.

Held in memory, for reading only; made anew from the store's rows when something was imported.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from rating.account import Account
from rating.allowances.parts import Parts, parts_of
from rating.allowances.rules import Rules
from rating.calendar import AccountCalendar
from rating.cdr import CDR, UNIT_TYPES
from rating.line_services import LineService, Terms
from rating.rater import Rater
from rating.stretches import Stretch

_PAID_BY_CALLED: Final = frozenset({"collect", "toll-free"})
_PAID_BY_THIRD: Final = frozenset({"calling-card", "third-number"})


class TariffVersion(msgspec.Struct, frozen=True, gc=False):
    """One version of a tariff, as the store knows it."""

    id: int
    name: str
    valid_from_at: int
    """µs UTC, or `ALWAYS`."""
    rater: Rater
    converted: dict[str, "TariffVersion"] = {}
    """The same with charges in the currencies to which the tariff states a conversion."""

    def in_currency(self, currency: str) -> "TariffVersion | None":
        """The one whose charges are in a currency; None: no conversion is stated."""
        return self if self.rater.currency == currency else self.converted.get(currency)


class TariffBook:
    """All tariffs by name, each with its versions; a call is rated by the one in force at its answer."""

    def __init__(self, versions: Iterable[TariffVersion] = ()) -> None:
        self._versions: dict[str, list[TariffVersion]] = {}
        self._by_number: dict[int, TariffVersion] = {}
        for version in sorted(versions, key=lambda version: version.id):
            self.add(version)

    def add(self, version: TariffVersion) -> None:
        """Add a version; of two with one validity date the later added one counts."""
        for one in (version, *version.converted.values()):
            self._by_number[one.id] = one
        kept = [v for v in self._versions.get(version.name, ()) if v.valid_from_at != version.valid_from_at]
        self._versions[version.name] = sorted([*kept, version], key=lambda v: v.valid_from_at)

    def in_force(self, name: str, at: int) -> TariffVersion | None:
        """The version of `name` that holds at an instant (µs UTC)."""
        versions = self._versions.get(name)
        if versions is None:
            return None
        if len(versions) == 1:
            return versions[0] if versions[0].valid_from_at <= at else None
        index = bisect_right(versions, at, key=lambda version: version.valid_from_at)
        return versions[index - 1] if index else None

    def numbered(self, number: int) -> TariffVersion | None:
        """The version with this number, unless it was superseded before the daemon started."""
        return self._by_number.get(number)

    def __len__(self) -> int:
        return sum(map(len, self._versions.values()))


Payer = Account | LineService
"""Whoever says which account it is, and by which clock its periods are."""


class Directory:
    """Accounts, lines and tariffs by what a CDR says."""

    def __init__(
        self,
        accounts: Iterable[Account] = (),
        lines: Iterable[LineService] = (),
        tariffs: TariffBook | None = None,
        default_tariff: str | None = None,
        favourites: Mapping[str, tuple[str, ...]] | None = None,
        numbers: int | None = None,
    ) -> None:
        """Accounts and lines are gone through once. `favourites`: the favourite numbers of accounts that have some, in
        their order; `numbers`: how many numbers have lines, if these are not given because nothing is to be guided."""
        self.accounts = {account.account: account for account in accounts}
        self.tariffs = tariffs or TariffBook()
        self.default_tariff = default_tariff
        self._favourites = favourites or {}
        self._calendars: dict[tuple[str, int], AccountCalendar] = {}
        # Nearly every line has one row: it is found without a list around it, which would have to be fetched too.
        self._by_line: dict[str, LineService | list[LineService]] = {}
        for entry in lines:
            known = self._by_line.setdefault(entry.line, entry)
            if isinstance(known, list):
                known.append(entry)
            elif known is not entry:
                self._by_line[entry.line] = [known, entry]
        self.numbers = len(self._by_line) if numbers is None else numbers
        """How many numbers have lines."""

    def guide(self, cdr: CDR) -> LineService | None:
        """The paying line's service and account: the called line's for collect and toll-free calls, that of
        `charge_to` for calling-card and third-number calls, otherwise the calling line's."""
        if cdr.type in _PAID_BY_CALLED:
            number: str | None = cdr.called
        elif cdr.type in _PAID_BY_THIRD:
            number = cdr.charge_to
        else:
            number = cdr.calling
        entry = self._by_line.get(number) if number else None
        if entry is None:
            return None
        if type(entry) is LineService:
            if entry.from_at <= cdr.answer_at and (cdr.service is None or cdr.service == entry.terms.service):
                return entry
            return None
        assert isinstance(entry, list)
        return _choose(entry, cdr)

    def terms_of(self, line: str, account: str, service: str, at: int) -> tuple[str | None, str]:
        """The tariff that an account's calls on a line are rated by, by the line's row of the service that holds at an
        instant (µs UTC), and the account's currency: for calls that were guided when perhaps the line was another's."""
        known: Terms | Account | None = None
        entry = self._by_line.get(line, ())
        if isinstance(entry, LineService):  # nearly every line
            if entry.account == account and entry.terms.service == service and entry.from_at <= at:
                known = entry.terms
        elif had := [e for e in entry if e.account == account and e.terms.service == service and e.from_at <= at]:
            known = max(had, key=lambda e: e.from_at).terms
        if known is None:
            known = self.accounts[account]
        return known.tariff or self.default_tariff, known.currency

    def parts_of(self, rules: Rules, cdr: CDR, payer: Payer, stretches: Sequence[Stretch]) -> Parts:
        """What the charge of a call is made of, for the rules of its tariff to reduce it."""
        clock = payer.clock
        calendar = self._calendars.get(clock)
        if calendar is None:
            calendar = self._calendars[clock] = AccountCalendar(*clock)
        other = cdr.calling if cdr.type in _PAID_BY_CALLED else cdr.called
        numbers = self._favourites.get(payer.account, ())
        return parts_of(
            stretches,
            calendar.month(cdr.answer_at)[0],
            calendar.cycle(cdr.answer_at)[0],
            tuple(rule.name for rule in rules.favourites if other in numbers[: rule.numbers]),
            is_timed=cdr.type not in UNIT_TYPES,
        )


def _choose(entries: list[LineService], cdr: CDR) -> LineService | None:
    """Of a line's rows: those of the service (without one, the first row's), the latest whose date has come."""
    had = [entry for entry in entries if entry.from_at <= cdr.answer_at]
    if not had:
        return None
    service = had[0].terms.service if cdr.service is None else cdr.service
    return max((e for e in had if e.terms.service == service), key=lambda entry: entry.from_at, default=None)
