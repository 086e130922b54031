"""Enrolling and cancelling: the row, the line in the audit log and the mail to the agent, in one store transaction."""

import sqlite3
from typing import Final

from control import audit
from control.alerts import alert_rows
from control.alerts.alert import Enrolled, EnrolmentCancelled, Medium
from control.enrolment import enrolment_rows as rows
from control.enrolment.enrolment import Change, Enrolment, EnrolmentRefused, Method, Notice, Switches
from control.users.roles import Role
from control.users.rows import user_named
from rating.account import Account

LONGEST_REASON: Final = 500


def enrol(cx: sqlite3.Connection, account: str, method: Method | None, actor: str, now: int, reason: str = "") -> bool:
    """Let an account take e-billing and pay so (None: as it does, and on the pages if it is new); whether it did not
    before. Raises EnrolmentRefused."""
    _check(reason)
    known = _known(cx, account)
    was = rows.enrolment_of(cx, account)
    if method is None:
        method = was.payment_method if was is not None and was.enrolled else Method.WEB
    if method is Method.AUTOMATIC and rows.bank_details_of(cx, account) is None:
        raise EnrolmentRefused("there is no bank account to collect from: enter the bank details first")
    if was is not None and was.enrolled:
        if was.payment_method is not method:
            rows.set_method(cx, account, method)
            detail = _because(_from_to(was, method), reason)
            audit.record(cx, now, actor, "change payment method", f"account {account}", detail)
        return False
    rows.put_enrolment(cx, Enrolment(account, True, method, now, actor))
    audit.record(cx, now, actor, "enrol", f"account {account}", _because(f"payment method {method}", reason))
    _tell_agent(cx, known, enrolled=True, actor=actor, now=now)
    return True


def cancel(cx: sqlite3.Connection, account: str, actor: str, now: int, reason: str = "") -> bool:
    """Let an account take e-billing no longer; whether it did. Raises EnrolmentRefused."""
    _check(reason)
    known = _known(cx, account)
    was = rows.enrolment_of(cx, account)
    if was is None or not was.enrolled:
        return False
    rows.put_enrolment(cx, Enrolment(account, False, was.payment_method, now, actor))
    audit.record(cx, now, actor, "cancel enrolment", f"account {account}", reason)
    _tell_agent(cx, known, enrolled=False, actor=actor, now=now)
    return True


def forget_bank_details(cx: sqlite3.Connection, account: str, actor: str, now: int) -> None:
    """Nothing can be collected any more: who paid automatically pays on the pages from now on."""
    if not rows.drop_bank_details(cx, account):
        return
    audit.record(cx, now, actor, "remove bank details", f"account {account}")
    was = rows.enrolment_of(cx, account)
    if was is not None and was.payment_method is Method.AUTOMATIC:
        rows.set_method(cx, account, Method.WEB)
        audit.record(cx, now, actor, "change payment method", f"account {account}", _from_to(was, Method.WEB))


def _known(cx: sqlite3.Connection, account: str) -> Account:
    known = rows.account_of(cx, account)
    if known is None:
        raise EnrolmentRefused(f"there is no account {account}: mind the number")
    return known


def _check(reason: str) -> None:
    if len(reason) > LONGEST_REASON or not (reason.isprintable() or not reason):
        raise EnrolmentRefused(f"a reason has at most {LONGEST_REASON} printable characters, in one line")


def _because(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what


def _from_to(was: Enrolment, method: Method) -> str:
    return f"from {was.payment_method} to {method}"


def _tell_agent(cx: sqlite3.Connection, account: Account, *, enrolled: bool, actor: str, now: int) -> None:
    """Queue the mail to the account's agent, and write down what became of it."""
    number = rows.next_change(cx)
    notice, address = notice_to(cx, account.agent, enrolled=enrolled)
    alert = None
    if account.agent is not None and address is not None:
        occasion = Enrolled(account.agent, now) if enrolled else EnrolmentCancelled(account.agent, now)
        alert = alert_rows.queue(
            cx, account, occasion, by=Medium.EMAIL, to=address, cause=f"enrolment change {number}", now=now
        )
    rows.add_change(cx, Change(number, account.account, enrolled, now, actor, account.agent, notice, alert))


def notice_to(cx: sqlite3.Connection, agent: str | None, *, enrolled: bool) -> tuple[Notice, str | None]:
    """Whether an agent is told, and where."""
    if agent is None:
        return Notice.NO_AGENT, None
    user = user_named(cx, agent)
    if user is None or user.role is not Role.AGENT or user.disabled_at is not None:
        return Notice.NO_USER, None
    switches: Switches = rows.switches_of(cx, agent)
    if not (switches.on_enrolment if enrolled else switches.on_cancellation):
        return Notice.OFF, None
    return (Notice.MAILED, user.email) if user.email else (Notice.NO_ADDRESS, None)
