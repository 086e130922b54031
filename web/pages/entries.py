"""The entries of an account's ledger, for staff: a credit granted, and a mistake taken back."""

import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from multidict import MultiDict, MultiMapping
from yarl import URL

from control.ledger import history, postings
from control.ledger.entry import Entry, EntryRefused, Kind, Why
from control.ledger.history import Change
from rating.account import Account
from rating.money import parse_micros
from web.pages.orders import number_in
from web.pages.suspense_forms import FormRefused
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of, typed_form
from web.routing import STAFF, Route
from web.site import Site

ROWS: Final = 50
STAYS: Final = frozenset({Kind.BILL, Kind.REVERSAL, Kind.SETTLEMENT})
"""Kinds of entries that nobody takes back."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored of an account's entries."""

    changes: list[Change]
    """A page of them, and one more where there are more."""
    taken_back: dict[int, int]
    """Those of them that were, each with the entry that did it."""


class EntriesPages:
    """`/accounts/N/entries`, `/accounts/N/credits`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        entries, credits_ = "/accounts/{account}/entries", "/accounts/{account}/credits"
        return (
            Route("GET", entries, self._entries, STAFF, "An account's entries; one to be taken back", "account"),
            Route("POST", entries, self._take_back, STAFF, "Take an entry back, with a reason", "account"),
            Route("GET", credits_, self._fresh, STAFF, "The form for a credit", "account"),
            Route("POST", credits_, self._credit, STAFF, "Grant a credit, with a reason", "account"),
        )

    async def _entries(self, request: web.Request) -> web.StreamResponse:
        account, before = self._account(request), number_in(request.query, "before")
        if (number := number_in(request.query, "take_back")) is not None:
            entry = await self._site.readers.read(postings.get, number)
            if entry is None or entry.account != account.account or entry.kind in STAYS:
                raise NotFound
            return self._confirm_page(request, entry, "", None)
        kept: Kept = await self._site.readers.read(_kept, account.account, before)
        path = f"/accounts/{account.account}/entries"
        more = len(kept.changes) > ROWS
        done = number_in(request.query, "done")
        made = None if done is None else await self._site.readers.read(postings.get, done)
        context = {
            "changes": kept.changes[:ROWS],
            "taken_back": kept.taken_back,
            "stays": STAYS,
            "made": made if made is not None and made.account == account.account else None,
            "next_page": URL(path).with_query(before=kept.changes[ROWS - 1].entry.id) if more else None,
            "first_page": path if before is not None else None,
        }
        return render(request, "entries.html", self._stands(account) | context)

    def _confirm_page(
        self, request: web.Request, entry: Entry, reason: str, refused: FormRefused | None, key: str = ""
    ) -> web.Response:
        # The form's own key: however often it is sent, the entry is taken back once.
        context = {"entry": entry, "reason": reason, "refused": refused, "key": key or secrets.token_urlsafe(16)}
        return render(request, "take_back.html", self._stands(self._account(request)) | context)

    async def _take_back(self, request: web.Request) -> web.StreamResponse:
        account, form = self._account(request), await typed_form(request)
        number, key, reason = number_in(form, "entry"), form.get("key", ""), form.get("reason", "").strip()
        entry = None if number is None else await self._site.readers.read(postings.get, number)
        if entry is None or entry.account != account.account:
            raise web.HTTPSeeOther(f"/accounts/{account.account}/entries")
        try:
            if not reason:
                raise FormRefused("reason", "say why: it goes into the audit log, and on the customer's statements")
            recorded = await self._site.payments.take_back(
                account.account, entry.id, actor=principal_of(request).actor, key=key, remark=reason
            )
        except FormRefused as refused:
            return self._confirm_page(request, entry, reason, refused, key)
        except EntryRefused as refused:
            field = "reason" if refused.why is Why.REMARK else ""
            kept_key = "" if refused.why is Why.KEY else key
            return self._confirm_page(request, entry, reason, FormRefused(field, str(refused)), kept_key)
        raise _done(account, recorded.entry)

    async def _fresh(self, request: web.Request) -> web.StreamResponse:
        return self._credit_page(request, MultiDict[str](), None)

    def _credit_page(
        self, request: web.Request, form: MultiMapping[str], refused: FormRefused | None, key: str = ""
    ) -> web.Response:
        context = {
            "key": key or secrets.token_urlsafe(16),
            "typed": {name: form.get(name, "") for name in ("amount", "reason")},
            "refused": refused,
        }
        return render(request, "credit.html", self._stands(self._account(request)) | context)

    async def _credit(self, request: web.Request) -> web.StreamResponse:
        account, form = self._account(request), await typed_form(request)
        key, reason, actor = form.get("key", ""), form.get("reason", "").strip(), principal_of(request).actor
        try:
            micros = _amount(form.get("amount", "").strip())
            if not reason:
                raise FormRefused("reason", "say why: it goes into the audit log, and on the customer's statements")
            recorded = await self._site.room.credit(account.account, micros, account.currency, actor, key, reason)
        except FormRefused as refused:
            return self._credit_page(request, form, refused, key)
        except EntryRefused as refused:
            if refused.why is Why.KEY:
                words = "this form has granted another credit already: look at the entries, then send it once more"
                return self._credit_page(request, form, FormRefused("", words))
            field = "reason" if refused.why is Why.REMARK else "amount"
            return self._credit_page(request, form, FormRefused(field, str(refused)), key)
        raise _done(account, recorded.entry)

    def _stands(self, account: Account) -> dict[str, Any]:
        """How the account stands now."""
        return {"account": account, "due_micros": self._site.exposure.balance_due(account.account)}

    def _account(self, request: web.Request) -> Account:
        account = self._site.directory.accounts.get(request.match_info["account"])
        if account is None:
            raise NotFound
        return account


def _done(account: Account, entry: Entry) -> web.HTTPSeeOther:
    return web.HTTPSeeOther(URL(f"/accounts/{account.account}/entries").with_query(done=entry.id))


def _amount(typed: str) -> int:
    """Raises FormRefused."""
    if not typed:
        raise FormRefused("amount", "write how much is granted")
    try:
        return parse_micros(typed)
    except ValueError as wrong:
        raise FormRefused("amount", str(wrong)) from None


def _kept(cx: sqlite3.Connection, account: str, before: int | None) -> Kept:
    """One read."""
    changes = history.changes(cx, account, limit=ROWS + 1, before=before)
    return Kept(changes, postings.taken_back(cx, [change.entry.id for change in changes]))
