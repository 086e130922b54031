"""The service manager's protocol over a real socket, and a service manager that is not there."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediation.sd_notify import READY, ServiceManager, service_manager


@pytest.fixture(params=["a path", "an abstract name"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    address = str(tmp_path / "notify") if request.param == "a path" else f"@tollkeeper-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + address[1:] if address.startswith("@") else address)
        receiver.settimeout(10)
        yield address, receiver


def test_messages_arrive_one_datagram_each(listening: tuple[str, socket.socket]) -> None:
    address, receiver = listening
    manager = service_manager({"NOTIFY_SOCKET": address})
    manager.tell(READY, "STATUS=ready")
    manager.status("two\nlines")
    manager.reloading()
    assert receiver.recv(4096) == b"READY=1\nSTATUS=ready"
    assert receiver.recv(4096) == b"STATUS=two lines"
    first, second = receiver.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    name, _, instant = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert 0 < int(instant) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


@pytest.mark.parametrize("address", [None, "", "relative", "vsock:2:1234", "/", "@"])
def test_without_a_manager_that_it_can_reach_it_says_nothing(
    address: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    manager = service_manager({} if address is None else {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    manager.tell(READY)
    assert manager.watchdog_us == 0
    assert caplog.records == []


def test_a_manager_that_is_gone_is_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ServiceManager(str(tmp_path / "nobody")).tell(READY)
    assert [record.getMessage() for record in caplog.records] == ["the service manager was not told"]


def test_a_manager_that_does_not_read_holds_up_nothing(listening: tuple[str, socket.socket]) -> None:
    manager = service_manager({"NOTIFY_SOCKET": listening[0]})
    for _ in range(10_000):  # far more than a socket keeps
        manager.tell(READY)


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30_000_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
        ({}, 0),
    ],
)
def test_the_watchdogs_interval_is_the_managers_if_it_is_meant_for_us(
    environment: dict[str, str], interval: int
) -> None:
    assert service_manager({"NOTIFY_SOCKET": "/run/notify", **environment}).watchdog_us == interval
