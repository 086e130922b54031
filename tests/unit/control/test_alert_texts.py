"""What alerts say: true as of when they are sent, the same in text and HTML, and nothing that is not asked for."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from control.alerts import (
    PROVIDER,
    Alert,
    BarConfirmed,
    Enrolled,
    EnrolmentCancelled,
    Finding,
    Fired,
    LimitRaised,
    Medium,
    OrderNow,
    Restored,
    Situation,
    State,
)
from control.alerts.message import message_bytes, message_id
from control.alerts.phrases import local, money
from control.alerts.texts import Wording, html, letter, plain
from rating.cdr import MICROS
from tests.builders import ACCOUNT, CALLING, NOW, an_account, micros

SITE = Wording(site_url="https://my.provider.example/")
AMOUNTS = Wording(with_amounts=True)
OVER = Finding("charges", 2_512_400_000, 2_500_000_000, "above", "bill-cycle", "long-distance", "credit limit")
TALKED = Finding("minutes", 600 * 60 * MICROS + 1, 600 * 60 * MICROS, "above", "month")
CALLED = Finding("calls", 1200, 1000, "at_least", "day", "to London", "average of 3 months")
FIRED = Fired("LD over <limit>", micros("2026-11-20T14:07:31Z"), (OVER, TALKED, CALLED))


def an_alert(facts: Any = FIRED, **values: Any) -> Alert:
    given: dict[str, Any] = {
        "id": 5, "key": "firing 17/fired/email/a@b.example", "medium": Medium.EMAIL, "recipient": "a@b.example",
        "account": ACCOUNT, "firing": 17, "facts": facts, "state": State.SENDING, "tries": 0, "at": NOW, "due_at": NOW,
        "sent_at": None, "words": "",
    }  # fmt: skip
    return Alert(**given | values)


def text(facts: Any = FIRED, *orders: OrderNow, wording: Wording = SITE, **values: Any) -> str:
    return plain(letter(an_alert(facts, **values), Situation(an_account(), orders), wording))


def bars(*states: str, do: str = "bar") -> tuple[OrderNow, ...]:
    return tuple(OrderNow(do, "long-distance", CALLING[:-1] + str(n), state) for n, state in enumerate(states))


def test_a_firing_says_what_when_and_against_what_without_numbers() -> None:
    assert text() == (
        "Dear Ada Lovelace,\n\n"
        "The account event “LD over <limit>” has occurred.\n\n"
        "When: 20 November 2026, 09:07 EST\n"
        "Charges (long-distance) in the bill cycle: above the credit limit\n"
        "Minutes in the month: above the limit that is set\n"
        "Number of calls (to London) on the day: at least the average of 3 months\n\n"
        "Details: https://my.provider.example/alerts\n"
    )


def test_with_amounts_it_says_the_account_and_the_numbers() -> None:
    said = text(wording=AMOUNTS)
    assert f"Account: {ACCOUNT}\n" in said
    assert "in the bill cycle: 2,512.40 USD, above the credit limit of 2,500.00 USD\n" in said
    assert "in the month: 600 min 1 s, above the limit that is set of 600 min\n" in said
    assert "on the day: 1,200, at least the average of 3 months of 1,000\n" in said
    assert "Sign in to your account" in said


@pytest.mark.parametrize(
    "facts",
    [
        FIRED,
        LimitRaised("LD", NOW, 2_500_000_000, 2_750_000_000),
        BarConfirmed("LD", NOW, (OVER,)),
        Restored("paid", NOW),
        Enrolled("agnes", NOW),
        EnrolmentCancelled("agnes", NOW),
    ],
    ids=lambda facts: type(facts).__name__,
)
@pytest.mark.parametrize("recipient", ["a@b.example", PROVIDER])
def test_no_amount_account_number_or_line_unless_asked_for(facts: Any, recipient: str) -> None:
    for wording in (SITE, Wording()):
        written = letter(an_alert(facts, recipient=recipient), Situation(an_account(), bars("confirmed")), wording)
        for said in (plain(written), html(written), written.subject):
            assert not any(secret in said for secret in (ACCOUNT, CALLING[:-1], "2,5", "2,7", "2500", "USD"))


def test_a_raised_limit_names_both_only_with_amounts() -> None:
    raised = LimitRaised("LD", NOW, 2_500_000_000, 2_750_500_000)
    assert "The credit limit was raised after the account event “LD”." in text(raised)
    assert "Before: 2,500.00 USD\nNow: 2,750.50 USD\n" in text(raised, wording=AMOUNTS)


@pytest.mark.parametrize(
    ("orders", "said"),
    [
        (bars("planned"), "long-distance: about to be barred\n"),
        (bars("held"), "long-distance: to be barred, if a person of ours releases it\n"),
        (bars("confirmed", "confirmed"), "long-distance: barred (2 lines)\n"),
        (bars("confirmed", "refused"), "barred (1 line)\nlong-distance: not barred: the switch refused (1 line)\n"),
        (bars("cancelled"), "long-distance: not barred: no longer called for\n"),
        (bars("confirmed", do="restore"), "long-distance: restored\n"),
        (bars("a state to come"), "long-distance: bar: a state to come\n"),
    ],
)
def test_it_says_how_the_orders_stand(orders: tuple[OrderNow, ...], said: str) -> None:
    assert said in text(FIRED, *orders)
    assert said in text(BarConfirmed("LD", NOW), *orders)


def test_lines_are_named_with_amounts() -> None:
    assert "long-distance: barred: 12125550140, 12125550141\n" in text(
        FIRED, *bars("confirmed", "confirmed"), wording=AMOUNTS
    )


def test_the_provider_is_told_which_firing_and_led_to_the_firings() -> None:
    said = text(recipient=PROVIDER)
    assert said.startswith("Hello,\n\nThis concerns a customer's account; see firing 17.\n\n")
    assert said.endswith("Details: https://my.provider.example/firings\n")
    assert "see alert 5." in text(recipient=PROVIDER, firing=None)


@pytest.mark.parametrize(
    ("facts", "said"),
    [(Enrolled("agnes", NOW), "has enrolled for online bills"), (EnrolmentCancelled("agnes", NOW), "has cancelled")],
)
def test_an_agent_is_told_whose_account_it_is_and_led_to_the_notices(facts: Any, said: str) -> None:
    told = text(facts, firing=None)
    assert told.startswith("Dear agnes,\n\nAda Lovelace, an account of yours, " + said)
    assert told.endswith("Details: https://my.provider.example/agent/notices\n")
    assert "Sign in to see the account." in text(facts, firing=None, wording=Wording())


def test_a_late_record_is_called_late() -> None:
    assert "came late" in text(Fired("LD", NOW, late=True))
    assert "came late" not in text(Fired("LD", NOW))


def test_html_says_the_same_escaped() -> None:
    written = letter(an_alert(), Situation(an_account(name="Ada & Söhne <b>"), bars("confirmed")), SITE)
    page = html(written)
    assert "Dear Ada &amp; Söhne &lt;b&gt;," in page
    assert "LD over &lt;limit&gt;" in page
    assert "<limit>" not in page
    assert 'href="https://my.provider.example/alerts"' in page
    for name, value in written.rows:
        assert f">{name}</th>" in page
        assert f">{value}</td>" in page


def parsed(alert: Alert, now: int = NOW, **account: Any) -> EmailMessage:
    written = letter(alert, Situation(an_account(**account)), SITE)
    sent = message_bytes(alert, written, sender="billing@provider.example", recipient="a@b.example", now=now)
    assert max(map(len, sent.split(b"\r\n"))) <= 998
    assert sent.isascii()
    message = message_from_bytes(sent, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_message_has_two_parts_and_is_marked_as_automatic() -> None:
    message = parsed(an_alert(), name="Zoë 木下")
    assert message["From"] == "billing@provider.example"
    assert message["To"] == "a@b.example"
    assert message["Subject"] == "Account alert: LD over <limit>"
    assert message["Date"] == "Fri, 20 Nov 2026 15:00:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    text_part, html_part = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text_part is not None
    assert html_part is not None
    assert text_part.get_content().startswith("Dear Zoë 木下,\r\n\r\nThe account event")
    assert "<p>Dear Zoë 木下,</p>" in html_part.get_content()


def test_a_message_is_known_again_however_late_it_is_sent() -> None:
    alert = an_alert()
    assert parsed(alert)["Message-ID"] == parsed(an_alert(tries=3, due_at=NOW + 9), NOW + 9 * MICROS)["Message-ID"]
    others = [an_alert(key="firing 18/fired/email/a@b.example"), an_alert(at=NOW + 1)]
    assert len({message_id(one, "x@provider.example") for one in (alert, *others)}) == 3
    assert message_id(alert, "x@provider.example").endswith("@provider.example>")


@pytest.mark.parametrize(
    "nasty", ["a\r\nBcc: x@evil.example", "\ud800", "x" * 2000, "\x00\x07", "=?utf-8?q?a?=", "木" * 300]
)
def test_no_name_breaks_out_of_its_place(nasty: str) -> None:
    message = parsed(an_alert(Fired(nasty, NOW)), name=nasty)
    assert set(message.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
    }  # fmt: skip
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0, "0.00 X"), (1, "0.000001 X"), (-1_500_000, "-1.50 X"), (1_234_567_120_000, "1,234,567.12 X")],
)
def test_amounts_are_exact(amount: int, said: str) -> None:
    assert money(amount, "X") == said


def test_instants_are_by_the_accounts_clock() -> None:
    assert local(micros("2026-07-01T03:59:59.999999Z"), "America/New_York") == "30 June 2026, 23:59 EDT"


@pytest.mark.parametrize(
    ("until", "facts", "said"),
    [
        ("cleared", FIRED, "as soon as a payment brings the account under its limit again."),
        ("cleared", BarConfirmed("LD", NOW), "after a payment, with another limit, or in the next period."),
        ("period-end", FIRED, "when the period ends."),
        ("restored", FIRED, "until we give it back"),
    ],
)
def test_who_is_barred_is_told_how_that_ends(until: str, facts: Any, said: str) -> None:
    order = OrderNow("bar", "long-distance", CALLING, "confirmed", until)
    assert said in text(facts, order)
    assert said not in text(facts, order, recipient=PROVIDER)
    assert said not in text(facts, OrderNow("bar", "long-distance", CALLING, "failed", until))
    assert said not in text(facts, OrderNow("bar", "long-distance", CALLING, "confirmed"))
