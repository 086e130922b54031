"""A daemon whose sources write numbers as they are dialled: rated by their plans, or mended by another plan."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from simulators import radius_packets as radius
from tests.acceptance.control_site import eventually, staff_token
from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess, Site
from tests.pop_by_hand import PopByHand
from tests.small_site import LONDON, a_record, account, line, ndjson

PLAN = '[dial_plans.pop-a]\ncountry = "US"\n'
LOCAL = 'area_code = "212"\nlocal_digits = 7\n'
SECRET = b"s3cret"
RADIUS = f"""
[feeds.radius]
type = "radius-accounting"
listen = "127.0.0.1:0"
[feeds.radius.clients.nas1]
address = "127.0.0.1"
secret = "{SECRET.decode()}"
[dial_plans.nas1]
country = "US"
"""


@pytest.fixture(params=[0, 1], ids=["in one process", "with a process in front"])
def site(site: Site, request: pytest.FixtureRequest) -> Site:
    """A site with a plan for one of its two POPs, and a NAS with another."""
    more = f"{PLAN}{RADIUS}[rating]\nprocesses = {request.param}\n"
    site.config.write_text(f"{site.config.read_text()}\n{more}")
    return site


@contextmanager
def serving(site: Site) -> Iterator[DaemonProcess]:
    with site.serving() as daemon:
        yield daemon
        assert daemon.terminate() == 0, daemon.text


def exported(site: Site) -> dict[str, tuple[str, str, str, str]]:
    return {told["id"]: (told["calling"], told["called"], told["type"], told["charge"]) for told in site.export()}


def reload(site: Site, daemon: DaemonProcess, was: str, is_: str) -> None:
    """Replace something in the configuration, and have it read again."""
    text = site.config.read_text()
    assert was in text
    site.config.write_text(text.replace(was, is_, 1))
    os.kill(daemon.pid, signal.SIGHUP)
    eventually(lambda: "configuration read again" in daemon.text, daemon, "the reload")


def test_dialled_numbers_are_rated_and_others_wait_for_a_better_plan(provisioned: Site) -> None:
    national = a_record("national", calling=line(0).removeprefix("+1"), called="011" + LONDON[1:])
    local = a_record("local", calling=line(1)[5:], called="1" + line(2)[2:])
    with serving(provisioned) as daemon, daemon.pop() as pop, daemon.pop("pop-b") as other:
        assert pop.send(ndjson(national, local)).counts == (1, 0, 1)
        assert pop.send(ndjson(national | {"calling": line(0), "called": LONDON})).counts == (0, 1, 0)
        assert exported(provisioned) == {"national": (line(0), LONDON, "direct", "0.6600")}
        # A source without a plan is read as ever: these are the digits of E.164.
        assert other.send(ndjson(a_record("other", calling=line(3)[1:], called="0" + LONDON[3:]))).counts == (0, 0, 1)

        _, shown = provisioned.answer("suspense", "show", "1")
        assert "cannot be brought to E.164 by the dial plan of US, +1" in shown["detail"]
        assert "local_digits" in shown["detail"]
        assert "[dial_plans.SOURCE]" in provisioned.answer("suspense", "show", "2")[1]["detail"]
        reload(provisioned, daemon, PLAN, PLAN + LOCAL)
        assert provisioned.answer("suspense", "show", "1")[1]["understood"]["calling"] == line(1)
        _, done = provisioned.answer("suspense", "recycle", "--reason", "bad-number")
        assert (done["recycled"], done["by_reason_after"]) == (1, {"bad-number": 1})
        assert exported(provisioned)["local"] == (line(1), line(2), "direct", "0.0660")
        assert pop.send(ndjson(local, local | {"id": "new"})).counts == (1, 1, 0)

        with PopByHand(daemon.addresses["feeds.pops"], staff_token(provisioned)) as staff:
            found = staff.say({"kind": "search", "where": [["country", "=", "GB"]]})
        assert [item["id"] for item in found.json["items"]] == ["national"]
    assert provisioned.answer("recount")[1]["differences"] == 0


def test_a_plan_is_mended_while_the_daemon_does_not_run(provisioned: Site) -> None:
    with serving(provisioned) as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(a_record("local", calling=line(1)[5:]))).counts == (0, 0, 1)
    provisioned.config.write_text(provisioned.config.read_text().replace(PLAN, PLAN + LOCAL))
    assert provisioned.answer("suspense", "recycle", "--all")[1]["recycled"] == 1
    assert exported(provisioned) == {"local": (line(1), LONDON, "direct", "0.6600")}


def test_a_toll_free_number_is_paid_by_its_own_account(provisioned: Site) -> None:
    config = provisioned.config.read_text()
    provisioned.config.write_text(config.replace(PLAN, PLAN + 'classify = true\nshort_numbers = ["411"]\n'))
    lines = f"line,account,provider,service,switch\n+18005550199,{account(4)},Metro,long-distance,\n"
    provisioned.done("import", "lines", provisioned.write("more.csv", lines))
    call = a_record("free", calling="2125550003", called="8005550199", type=None, service=None)
    with serving(provisioned) as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(call, a_record("short", called="411", type=None))).counts == (2, 0, 0)
    assert exported(provisioned) == {
        "free": (line(3), "+18005550199", "toll-free", "0.0660"),
        "short": (line(0), "+1411", "direct", "0.0660"),
    }
    assert [told["account"] for told in provisioned.export() if told["id"] == "free"] == [account(4)]


def test_accounting_by_radius_is_read_by_the_plan_of_its_source(provisioned: Site) -> None:
    now = int(time.time())
    report = radius.request(radius.ACCOUNTING_REQUEST, 1, SECRET, [
        (radius.ACCT_STATUS_TYPE, radius.number(radius.STOP)),
        (radius.ACCT_SESSION_ID, b"s1"),
        (radius.CALLING_STATION_ID, line(0).removeprefix("+1").encode()),
        (radius.CALLED_STATION_ID, b"011" + LONDON[1:].encode()),
        (radius.ACCT_SESSION_TIME, radius.number(61)),
        (radius.EVENT_TIMESTAMP, radius.number(now)),
    ])  # fmt: skip
    with serving(provisioned) as daemon, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nas:
        nas.settimeout(WITHIN_S)
        nas.sendto(report, daemon.addresses["feeds.radius"])
        assert radius.is_genuine_answer(nas.recv(4096), report, SECRET)
    assert exported(provisioned) == {"s1": (line(0), LONDON, "direct", "0.6600")}
