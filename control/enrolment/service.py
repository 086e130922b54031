"""Enrolments in a running daemon: known in memory, changed in store transactions, in force when a call returns."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from control import audit
from control.enrolment import changing
from control.enrolment import enrolment_rows as rows
from control.enrolment.bank_details import BankDetails
from control.enrolment.enrolment import Enrolment, Method, Switches
from control.enrolment.enrolments_csv import read_enrolments
from rating.store.port import Noted, Store, unnoted

T = TypeVar("T")


def _nobody() -> None:
    """There is no courier to be woken."""


class Enrolments:
    """Which accounts take e-billing. Made by `Enrolments.load`.

    `actor` is who changes something, as the audit log shall name them; `wake` lets the courier look into the outbox.
    What is in memory is changed in the store's thread, at the end of the transaction that changes the rows, so that the
    next one there knows it; it is read in any.
    """

    def __init__(
        self, store: Store, clock: Callable[[], int], enrolled: set[str], wake: Callable[[], object] = _nobody
    ) -> None:
        self._store, self._clock, self._enrolled, self._wake = store, clock, enrolled, wake

    @classmethod
    async def load(cls, store: Store, clock: Callable[[], int], wake: Callable[[], object] = _nobody) -> "Enrolments":
        """The enrolments of a store, which the caller has open for writing."""
        return cls(store, clock, await store.read(rows.enrolled_accounts), wake)

    def is_enrolled(self, account: str) -> bool:
        """Whether an account gets its invoices online."""
        return account in self._enrolled

    async def enrol(self, account: str, actor: str, method: Method | None = Method.WEB, *, reason: str = "") -> bool:
        """Let an account take e-billing and pay so, None being as it does already; its agent is told, `reason` goes
        into the audit log. Whether it did not before: to enrol again changes the payment method only. Raises
        EnrolmentRefused."""

        def enrol(cx: sqlite3.Connection, now: int) -> bool:
            changed = changing.enrol(cx, account, method, actor, now, reason)
            self._enrolled.add(account)
            return changed

        return await self._do(enrol)

    async def cancel(self, account: str, actor: str, *, reason: str = "") -> bool:
        """Let an account take e-billing no longer; its agent is told, `reason` goes into the audit log. Whether it did.
        Raises EnrolmentRefused."""

        def cancel(cx: sqlite3.Connection, now: int) -> bool:
            changed = changing.cancel(cx, account, actor, now, reason)
            self._enrolled.discard(account)
            return changed

        return await self._do(cancel)

    async def import_csv(self, text: str, actor: str, noted: Noted = unnoted) -> int:
        """An enrolments.csv, all or nothing; how many rows. Who is enrolled already goes on paying as they do. Raises
        ProvisioningError."""

        def follow(cx: sqlite3.Connection, now: int) -> int:
            wanted = read_enrolments(text, lambda number: rows.account_of(cx, number) is not None)
            for account, enrolled in wanted.items():
                if not enrolled:
                    changing.cancel(cx, account, actor, now)
                elif not self.is_enrolled(account):
                    changing.enrol(cx, account, Method.WEB, actor, now)
            self._enrolled -= {account for account, enrolled in wanted.items() if not enrolled}
            self._enrolled |= {account for account, enrolled in wanted.items() if enrolled}
            noted(cx, len(wanted))
            return len(wanted)

        return await self._do(follow)

    async def of(self, account: str) -> Enrolment | None:
        """An account's enrolment, as it is stored; None for one that never was."""
        return await self._store.read(rows.enrolment_of, account)

    async def keep_bank_details(self, account: str, details: BankDetails, actor: str) -> None:
        """Keep these in the place of others."""

        def keep(cx: sqlite3.Connection, now: int) -> None:
            rows.put_bank_details(cx, account, details, now, actor)
            words = f"{details.scheme}, {details.masked}"
            audit.record(cx, now, actor, "enter bank details", f"account {account}", words)

        await self._do(keep)

    async def forget_bank_details(self, account: str, actor: str) -> None:
        """Forget them; who paid automatically pays on the pages from now on."""
        await self._do(lambda cx, now: changing.forget_bank_details(cx, account, actor, now))

    async def set_switches(self, agent: str, switches: Switches, actor: str) -> None:
        """Let an agent get these mails."""

        def switch(cx: sqlite3.Connection, now: int) -> None:
            if rows.switches_of(cx, agent) == switches:
                return
            rows.put_switches(cx, agent, switches)
            states = (f"{name} {'on' if on else 'off'}" for name, on in (
                ("on enrolment", switches.on_enrolment), ("on cancellation", switches.on_cancellation)
            ))  # fmt: skip
            audit.record(cx, now, actor, "switch mails", f"agent {agent}", ", ".join(states))

        await self._do(switch)

    async def _do(self, work: Callable[[sqlite3.Connection, int], T]) -> T:
        """One store transaction, after which the mails in it go out."""
        done = await self._store.transact(lambda cx: work(cx, self._clock()))
        self._wake()
        return done
