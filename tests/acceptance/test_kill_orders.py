"""kill -9 at every step of an order, from the record that crosses the limit to the restore's last look: nobody is
wrongly barred, nobody forgotten, nobody barred after having paid, and no mail comes twice."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest

from tests.acceptance.aimed_kill import Deed, Step
from tests.acceptance.aimed_nas import SECRET
from tests.acceptance.aimed_peers import AimedPeers
from tests.acceptance.control_site import OVER_LIMIT, Staff, provision, staff_token
from tests.acceptance.daemon_process import Site
from tests.acceptance.killed_intake import a_free_port
from tests.acceptance.killed_site import KilledSite, NotInTimeError, Round, rounds_of, unbalanced
from tests.acceptance.test_kill import stored_ids

SITE: Final = """
[feeds.radius]
type = "radius-accounting"
listen = "127.0.0.1:{accounting}"
[feeds.radius.clients.nas]
address = "127.0.0.1"
secret = "{secret}"
[switches.nas1]
driver = "radius"
address = "{nas1}"
secret = "{secret}"
[switches.nas2]
driver = "radius"
address = "{nas2}"
secret = "{secret}"
[switches.nas2.services.long-distance]
bar = "Filter-Id=barred"
restore = "Filter-Id=open"
"""
EVENT: Final[dict[str, Any]] = {**OVER_LIMIT, "alert": [{"by": "email"}, {"by": "email", "when": "confirmed"}]}


def lost_and_done(step: Step) -> tuple[Step, Step]:
    """What had arrived at the kill comes to nothing, or is done."""
    return replace(step, is_lost=True), step


# The account crosses its limit. Kamailio sees the command (get, sets, list), then the look (get, list).
BARRING: Final = (
    Step(("htable.get 1 arrives",)),
    *lost_and_done(Step(("htable.sets 1 arrives",))),
    Step(("htable.sets 1 answered",)),
    Step(("dlg.list_match 1 arrives",)),
    Step(("dlg.list_match 1 answered",)),
    Step(("dlg.list_match 1 answered",), after_ms=3),
    Step(("htable.get 2 arrives",)),
    Step(("dlg.list_match 2 arrives",)),
    Step(("dlg.list_match 2 answered",)),
    *lost_and_done(Step(("dlg.end_dlg 1 arrives",), in_call=True)),
    Step(("dlg.list_match 2 answered",), in_call=True, after_ms=3),
    Step(("any htable.sets 2 arrives",)),
    Step(("any htable.sets 2 arrives",), slow_ms=30),
    Step(("htable.sets 2 arrives",), faults={"htable.sets 1": Deed.REFUSED}),
    Step(("htable.get 2 arrives",), faults={"htable.sets 1": Deed.LOST}),
    Step(("htable.get 2 arrives",), faults={"htable.sets 1": Deed.UNSAID}),
)
IN_STATES: Final = (
    Step(("bar is planned",), crowded=True),
    Step(("bar is cancelled",), crowded=True, pay_at="bar is planned"),
    *lost_and_done(Step(("bar is sent",), hold="htable.sets 1 arrives")),
    Step(("bar is acknowledged",), hold="htable.get 2 arrives"),
    Step(("bar is unknown",), faults={"htable.sets 1": Deed.UNSAID}),
    Step(("bar is refused",), faults={"htable.sets 1": Deed.REFUSED}),
    Step(("bar is confirmed",)),
    *lost_and_done(Step(("restore is sent",), pay_at="bar is confirmed", hold="htable.delete 1 arrives")),
    Step(("restore is acknowledged",), pay_at="bar is confirmed", hold="htable.get 4 arrives"),
    Step(("restore is unknown",), pay_at="bar is confirmed", faults={"htable.delete 1": Deed.LOST}),
    Step(("restore is refused",), pay_at="bar is confirmed", faults={"htable.delete 1": Deed.REFUSED}),
    Step(("restore is confirmed",), pay_at="bar is confirmed"),
)
POSTING: Final = (
    *(Step(("record posted",), after_ms=ms) for ms in (0, 2, 4)),
    *(Step(("record acknowledged",), after_ms=ms) for ms in (0, 2, 5, 10, 20, 30)),
)
PAYING: Final = (
    *(Step(("payment posted",), pay_at="bar is confirmed", after_ms=ms) for ms in (0, 2, 4)),
    Step(("payment is stored",), pay_at="bar is confirmed"),
    *(Step(("payment acknowledged",), pay_at="bar is confirmed", after_ms=ms) for ms in (0, 3, 10)),
    *lost_and_done(Step(("payment is stored",), pay_at="htable.sets 1 arrives")),
    *lost_and_done(Step(("payment acknowledged",), pay_at="htable.sets 1 arrives")),
    Step(("payment acknowledged",), pay_at="htable.get 2 arrives", after_ms=2),
    Step(("payment acknowledged",), pay_at="bar is unknown", faults={"htable.sets 1": Deed.UNSAID}),
    Step(("bar is cancelled",), pay_at="bar is refused", faults={"htable.sets 1": Deed.REFUSED}),
    Step(("htable.get 3 arrives",), pay_at="bar is confirmed"),
    *lost_and_done(Step(("htable.delete 1 arrives",), pay_at="bar is confirmed")),
    Step(("htable.delete 1 answered",), pay_at="bar is confirmed", after_ms=1),
    Step(("htable.get 4 arrives",), pay_at="bar is confirmed"),
    Step(("htable.get 4 answered",), pay_at="bar is confirmed"),
)
MAILING: Final = (
    Step(("SMTP connect 1 arrives",), doubtful=0, mails=2),
    Step(("SMTP MAIL 1 arrives",), doubtful=0, mails=2),
    Step(("SMTP RCPT 1 arrives",), doubtful=0, mails=2),
    Step(("SMTP RCPT 1 answered",)),
    Step(("alert is sending",), hold="SMTP DATA 1 arrives", doubtful=1, mails=1, is_lost=True),
    Step(("SMTP DATA 1 answered",), doubtful=1),
    Step(("SMTP text begun 1 arrives",), doubtful=1, mails=1, is_lost=True),
    Step(("SMTP text 1 arrives",), doubtful=1, mails=1, is_lost=True),
    Step(("SMTP text 1 arrives",), doubtful=1, mails=2),
    Step(("SMTP text 1 answered",), mails=2),
    Step(("SMTP text 1 answered",), mails=2, after_ms=2),
    Step(("SMTP text 2 arrives",), doubtful=1, mails=2),
)
AT_NASES: Final = (
    *lost_and_done(Step(("Disconnect 1 arrives",), "nas1")),
    Step(("Disconnect 1 answered",), "nas1"),
    Step(("Disconnect 1 answered",), "nas1", after_ms=3),
    Step(("Stop reported",), "nas1"),
    *lost_and_done(Step(("bar is sent",), "nas1", hold="Disconnect 1 arrives")),
    Step(("Disconnect 2 arrives",), "nas1", faults={"Disconnect 1": Deed.REFUSED}),
    Step(("any Disconnect 2 arrives",), "nas1"),
    *lost_and_done(Step(("payment acknowledged",), "nas1", pay_at="Disconnect 1 arrives")),
    *lost_and_done(Step(("CoA 1 arrives",), "nas2")),
    Step(("CoA 1 answered",), "nas2", after_ms=1),
    *lost_and_done(Step(("payment acknowledged",), "nas2", pay_at="CoA 1 arrives")),
    *lost_and_done(Step(("CoA 2 arrives",), "nas2", pay_at="bar is confirmed")),
    Step(("CoA 2 answered",), "nas2", pay_at="bar is confirmed"),
    Step(("bar is refused",), "nas2", faults={"CoA 1": Deed.REFUSED}),
)
KILLED_AGAIN: Final = (
    Step(("htable.sets 1 arrives", "htable.get 2 arrives")),
    Step(("htable.sets 1 arrives", "htable.sets 2 arrives"), is_lost=True),
    Step(("bar is refused", "htable.sets 2 arrives"), faults={"htable.sets 1": Deed.REFUSED}),
    Step(("payment acknowledged", "htable.get 2 arrives"), pay_at="htable.sets 1 arrives"),
    Step(("payment acknowledged", "htable.delete 1 arrives"), pay_at="htable.sets 1 arrives"),
    Step(("SMTP text 1 arrives", "SMTP connect 2 arrives"), mails=2),
    Step(("Disconnect 1 arrives", "Disconnect 2 arrives"), "nas1", is_lost=True),
)
STEPS: Final = (*BARRING, *IN_STATES, *POSTING, *PAYING, *MAILING, *AT_NASES, *KILLED_AGAIN)

ROUNDS = int(os.environ.get("TOLLKEEPER_KILL_ORDER_ROUNDS", str(len(STEPS))))
SEED = int(os.environ.get("TOLLKEEPER_KILL_SEED", "1"))
TO_MEET: Final = (
    *(f"bar {state}" for state in ("planned", "sent", "acknowledged", "refused", "unknown", "confirmed", "cancelled")),
    *(f"restore {state}" for state in ("sent", "acknowledged", "refused", "unknown", "confirmed")),
    *(f"alert {state}" for state in ("waiting", "sending", "sent", "unknown")),
)
"""States that orders and alerts must have stood in at kills, or the test says nothing."""
ENOUGH_WRONG: Final = 10
"""After so many rounds that went wrong no more are played."""


@pytest.fixture
def around() -> Iterator[AimedPeers]:
    with AimedPeers(("127.0.0.1", a_free_port())) as running:
        yield running


def provisioned(site: Site, around: AimedPeers, rounds: list[Round]) -> str:
    """A site for all rounds; the token of its staff."""
    switches = {number: each.switch_of(number) for each in rounds for number in (*each.over, each.innocent)}
    addresses = {name: f"127.0.0.1:{nas.address[1]}" for name, nas in around.nas.items()}
    more = SITE.format(accounting=around.accounting[1], secret=SECRET.decode(), **addresses)
    provision(site, around, list(switches), more=more, switch_of=lambda number: switches[number])
    return staff_token(site)


def test_wherever_it_is_killed_every_order_ends_true_and_nobody_is_told_twice(site: Site, around: AimedPeers) -> None:
    rounds = rounds_of(STEPS, ROUNDS)
    token = provisioned(site, around, rounds)
    played = KilledSite(site, around, token)
    random = Random(SEED)
    wrong: dict[int, list[str]] = {}
    try:
        with Staff(played.daemon, token) as staff:
            staff.prescribe(EVENT)
        for each in rounds:
            try:
                played.play(each, random)
                faults = list(played.judge(each))
            except NotInTimeError as late:
                faults = [f"{each}: {late}"]
                played.give_up()
            print(f"{each}: {'; '.join(faults) or 'as it should be'}", flush=True)
            if faults:
                wrong[each.number] = faults
            if len(wrong) == ENOUGH_WRONG:
                break
        print(f"met at {len(played.started_at) - 1} kills: {dict(played.met.most_common())}")
        assert not wrong, "\n".join(words for faults in wrong.values() for words in faults)
        assert played.daemon.terminate() == 0, played.daemon.text
    finally:
        played.daemon.close()
    # Much later, nothing is different.
    assert [words for each in rounds for words in played.judge(each)] == []
    assert unbalanced(site.store) == []
    stored = stored_ids(site.store)
    assert max(stored.values()) == 1
    assert {id_ for source, id_ in stored if source == "pop-a"} == played.sent
    calls = sum(len(nas.calls) for nas in around.nas.values())
    assert Counter(source for source, _ in stored)["nas"] == calls
    assert len(played.started_at) - 1 == sum(len(each.step.kill_at) for each in rounds)
    assert len(rounds) < len(STEPS) or not set(TO_MEET) - played.met.keys()
    recounted = site.process("recount")
    assert recounted.returncode == 0, recounted.stderr
