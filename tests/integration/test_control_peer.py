"""The story with a real switch: SIPp's telephones call through Kamailio, their account crosses its credit limit, the
live call ends and the next is refused, until a payment comes in."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.control_site import OVER_LIMIT, Peers, Staff, eventually, peers, provision, staff_token
from tests.acceptance.daemon_process import Site
from tests.integration.sip_network import WITHIN_S, PlannedCall, SIPNetwork, free_ports, sip_network
from tests.integration.test_kamailio_bar_peer import CALLER, calling, url_of
from tests.small_site import LONDON, account, line

pytestmark = pytest.mark.peers("kamailio", "sipp")

NUMBER = 142
FEED = """
[feeds.kamailio]
type = "http"
source = "kam1"
listen = "127.0.0.1:{port}"
path = "/cdr"
format = "kamailio-json"
"""


@pytest.fixture
def around() -> Iterator[Peers]:
    with peers() as running:
        yield running


def barred_at(network: SIPNetwork) -> bool:
    """Whether Kamailio itself says that the line is barred."""
    return "result" in network.kamailio.call("htable.get", "bar", line(NUMBER))


def states(staff: Staff) -> list[tuple[str, str]]:
    return [(order["action"], order["state"]) for order in staff.orders(NUMBER)]


def test_over_its_limit_a_line_is_barred_at_kamailio_and_restored_by_a_payment(tmp_path: Path, around: Peers) -> None:
    assert line(NUMBER) == CALLER
    (port,) = free_ports(socket.SOCK_STREAM, 1)
    site = Site(tmp_path / "site")
    with sip_network(tmp_path / "sip", f"http://127.0.0.1:{port}/cdr") as network:
        provision(site, around, [NUMBER], limit="0.05", switch=url_of(network), more=FEED.format(port=port))
        token = staff_token(site)
        with site.serving() as daemon, Staff(daemon, token) as staff:
            staff.prescribe(OVER_LIMIT)
            with calling(network, tmp_path / "live") as telephone:
                telephone.wait_for("SIP/2.0 200")
                assert not barred_at(network)
                network.make([PlannedCall(CALLER, LONDON, 1_100)], 1)  # two cents more than the limit
                telephone.wait_for("BYE ")
                assert telephone.process.wait(WITHIN_S) == 0
            eventually(lambda: states(staff) == [("bar", "confirmed")], daemon, "the bar is confirmed")
            assert barred_at(network)
            eventually(lambda: around.mail.taken, daemon, "a mail")

            with calling(network, tmp_path / "barred") as telephone:
                telephone.wait_for("SIP/2.0 403")
                assert telephone.process.wait(WITHIN_S) == 0

            eventually(lambda: len(site.export()) == 2, daemon, "the CDR of the call that was ended")
            assert staff.pay(NUMBER, None, "receipt 1").status == 202
            eventually(lambda: states(staff)[1:] == [("restore", "confirmed")], daemon, "the restore is confirmed")
            assert not barred_at(network)
            with calling(network, tmp_path / "restored") as telephone:
                telephone.wait_for("SIP/2.0 200")
            assert daemon.terminate() == 0, daemon.text
    assert [recipient for recipient, _ in around.subjects] == [f"c{NUMBER}@customers.example"]
    assert {transaction["account"] for transaction in site.export()} == {account(NUMBER)}
