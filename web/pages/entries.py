"""The entries of an account's ledger, for staff: a payment received, a credit granted, and a mistake taken back."""

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
_SAY_WHY: Final = "say why: it goes into the audit log, and on the customer's statements"


@dataclass(frozen=True, slots=True)
class EntryForm:
    """A form that makes an entry."""

    template: str
    remark: str
    """Its input for what is said of the entry."""
    sent_twice: str
    """What is said where it was sent before, with something else in it."""


PAYMENT: Final = EntryForm(
    "payment.html",
    "remark",
    "this form has recorded another payment already: look at the account, then send it once more",
)
CREDIT: Final = EntryForm(
    "credit.html",
    "reason",
    "this form has granted another credit already: look at the entries, then send it once more",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored of an account's entries."""

    changes: list[Change]
    """A page of them, and one more where there are more."""
    taken_back: dict[int, int]
    """Those of them that were, each with the entry that did it."""


class EntriesPages:
    """`/accounts/N/entries`, `/accounts/N/payments`, `/accounts/N/credits`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        entries, payments, credits_ = (f"/accounts/{{account}}/{name}" for name in ("entries", "payments", "credits"))
        return (
            Route("GET", entries, self._entries, STAFF, "An account's entries; one to be taken back", "account"),
            Route("POST", entries, self._take_back, STAFF, "Take an entry back, with a reason", "account"),
            Route("GET", payments, self._fresh_payment, STAFF, "The form for a payment received", "account"),
            Route("POST", payments, self._pay, STAFF, "A payment received", "account"),
            Route("GET", credits_, self._fresh_credit, STAFF, "The form for a credit", "account"),
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
                raise FormRefused("reason", _SAY_WHY)
            recorded = await self._site.payments.take_back(
                account.account, entry.id, actor=principal_of(request).actor, key=key, remark=reason
            )
        except FormRefused as refused:
            return self._confirm_page(request, entry, reason, refused, key)
        except EntryRefused as refused:
            field = "reason" if refused.why is Why.REMARK else ""
            kept_key = "" if refused.why is Why.KEY else key
            return self._confirm_page(request, entry, reason, FormRefused(field, str(refused)), kept_key)
        raise _done(recorded.entry)

    # A payment received, a credit granted.

    async def _fresh_payment(self, request: web.Request) -> web.StreamResponse:
        return self._form_page(request, PAYMENT, MultiDict[str](), None)

    async def _fresh_credit(self, request: web.Request) -> web.StreamResponse:
        return self._form_page(request, CREDIT, MultiDict[str](), None)

    async def _pay(self, request: web.Request) -> web.StreamResponse:
        return await self._enter(request, PAYMENT)

    async def _credit(self, request: web.Request) -> web.StreamResponse:
        return await self._enter(request, CREDIT)

    def _form_page(
        self, request: web.Request, kind: EntryForm, form: MultiMapping[str], refused: FormRefused | None, key: str = ""
    ) -> web.Response:
        account = self._account(request)
        context = {
            # The form's own: however often it is sent, it is one entry.
            "key": key or secrets.token_urlsafe(16),
            "typed": {name: form.get(name, "") for name in ("amount", kind.remark)},
            "refused": refused,
            "owed_micros": self._site.exposure.of(account.account, self._site.clock()),
        }
        return render(request, kind.template, self._stands(account) | context)

    async def _enter(self, request: web.Request, kind: EntryForm) -> web.StreamResponse:
        account, form = self._account(request), await typed_form(request)
        key = form.get("key", "")
        try:
            entry = await self._entered(kind, account, form, key, principal_of(request).actor)
        except FormRefused as refused:
            return self._form_page(request, kind, form, refused, key)
        except EntryRefused as refused:
            if refused.why is Why.KEY:
                return self._form_page(request, kind, form, FormRefused("", kind.sent_twice))
            field = {Why.REMARK: kind.remark, Why.CURRENCY: ""}.get(refused.why, "amount")
            return self._form_page(request, kind, form, FormRefused(field, str(refused)), key)
        if kind is PAYMENT:
            raise web.HTTPSeeOther(URL(f"/accounts/{account.account}").with_query(paid=entry.id))
        raise _done(entry)

    async def _entered(self, kind: EntryForm, account: Account, form: MultiMapping[str], key: str, actor: str) -> Entry:
        """Raises FormRefused, and EntryRefused."""
        micros, remark = _amount(form.get("amount", "").strip()), form.get(kind.remark, "").strip()
        if kind is PAYMENT:
            paid = await self._site.room.pay(account.account, micros, account.currency, actor, key, remark)
            return paid.entry
        if micros is None:
            raise FormRefused("amount", "write how much is granted")
        if not remark:
            raise FormRefused("reason", _SAY_WHY)
        granted = await self._site.room.credit(account.account, micros, account.currency, actor, key, remark)
        return granted.entry

    def _stands(self, account: Account) -> dict[str, Any]:
        """How the account stands now."""
        return {"account": account, "due_micros": self._site.exposure.balance_due(account.account)}

    def _account(self, request: web.Request) -> Account:
        account = self._site.directory.accounts.get(request.match_info["account"])
        if account is None:
            raise NotFound
        return account


def _done(entry: Entry) -> web.HTTPSeeOther:
    return web.HTTPSeeOther(URL(f"/accounts/{entry.account}/entries").with_query(done=entry.id))


def _amount(typed: str) -> int | None:
    """None for an empty one. Raises FormRefused."""
    if not typed:
        return None
    try:
        return parse_micros(typed)
    except ValueError as wrong:
        raise FormRefused("amount", str(wrong)) from None


def _kept(cx: sqlite3.Connection, account: str, before: int | None) -> Kept:
    """One read."""
    changes = history.changes(cx, account, limit=ROWS + 1, before=before)
    return Kept(changes, postings.taken_back(cx, [change.entry.id for change in changes]))
