"""The daemon and its service manager: what it is told, and what a SIGHUP changes."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess, Site
from tests.pop_by_hand import PopByHand, plug, read_answer
from tests.pop_by_hand import head as post_head
from tests.small_site import TOKENS, a_record, ndjson


class Manager:
    """The socket that a daemon tells its manager through."""

    def __init__(self, where: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(where))
        self._socket.settimeout(WITHIN_S)

    def next(self) -> dict[str, str]:
        """The next message."""
        return dict(line.split("=", 1) for line in self._socket.recv(65_536).decode().splitlines())

    def wait_for(self, name: str) -> list[dict[str, str]]:
        """Messages up to the first with `name`, which is the last."""
        told = [self.next()]
        while name not in told[-1]:
            told.append(self.next())
        return told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with closing(Manager(tmp_path / "notify")) as manager:
        yield manager


def test_ready_is_told_when_everything_listens_and_stopping_at_sigterm(provisioned: Site, manager: Manager) -> None:
    with provisioned.serving() as daemon:
        assert manager.wait_for("READY")[-1]["READY"] == "1"
        assert daemon.ask_ops("/readyz") == 200
        with daemon.pop() as pop:
            assert pop.send(ndjson(a_record("x"))).counts == (1, 0, 0)
        os.kill(daemon.pid, signal.SIGTERM)
        assert manager.wait_for("STOPPING")[-1]["STOPPING"] == "1"
        assert daemon.wait() == 0


def test_ready_is_not_told_by_a_daemon_that_cannot_listen(provisioned: Site, manager: Manager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = provisioned.config.read_text()
        head, mark, tail = text.partition("[feeds.pops]")
        provisioned.config.write_text(head + mark + tail.replace(":0", f":{taken.getsockname()[1]}", 1))
        daemon = DaemonProcess(provisioned.config)
        try:
            assert daemon.wait() == 1
        finally:
            daemon.close()
    manager._socket.setblocking(False)
    told = []
    while True:
        try:
            told.append(manager.next())
        except BlockingIOError:
            break
    assert not any("READY" in message for message in told)


def test_a_healthy_daemon_gives_signs_of_life(
    provisioned: Site, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with provisioned.serving() as daemon:
        manager.wait_for("READY")
        for _ in range(3):
            manager.wait_for("WATCHDOG")
        with daemon.pop() as pop:
            assert pop.send(ndjson(a_record("x"))).counts == (1, 0, 0)
        manager.wait_for("WATCHDOG")
        assert daemon.terminate() == 0


def keys(daemon: DaemonProcess, message: str) -> list[str]:
    """The keys that the daemon logged with this message."""
    return [told["key"] for told in map(json.loads, daemon.log) if told["message"] == message]


@pytest.fixture
def reloaded(provisioned: Site, manager: Manager) -> Iterator[tuple[DaemonProcess, Callable[[str, str], None]]]:
    """A daemon, and a way to replace something in its configuration and have it read again."""
    with provisioned.serving() as daemon:
        manager.wait_for("READY")
        reloads = 0

        def reload(was: str, is_: str) -> None:
            text = provisioned.config.read_text()
            assert was in text
            provisioned.config.write_text(text.replace(was, is_, 1))
            os.kill(daemon.pid, signal.SIGHUP)
            assert int(manager.wait_for("RELOADING")[-1]["MONOTONIC_USEC"]) > 0
            manager.wait_for("READY")
            until = time.monotonic() + WITHIN_S
            nonlocal reloads
            reloads += 1
            while sum("read again" in line or "not reloaded" in line for line in daemon.log) < reloads:
                assert time.monotonic() < until, daemon.text
                time.sleep(0.005)

        yield daemon, reload
        assert daemon.terminate() == 0, daemon.text


Reloaded = tuple[DaemonProcess, Callable[[str, str], None]]


def status_with(daemon: DaemonProcess, token: str, id_: str) -> int:
    with PopByHand(daemon.addresses["feeds.pops"], token) as pop:
        return pop.send(ndjson(a_record(id_))).status


def test_a_changed_token_holds_from_the_next_request_on(reloaded: Reloaded) -> None:
    daemon, reload = reloaded
    body = ndjson(a_record("under-way"))
    with plug(daemon.addresses["feeds.pops"]) as wire, daemon.pop("pop-b") as other:
        assert other.send(ndjson(a_record("other"))).status == 200
        # The head of a request, with the old token, has come; its body comes when the token is gone.
        wire.sendall(post_head(TOKENS["pop-a"], f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert wire.recv(4096).startswith(b"HTTP/1.1 100")
        reload(TOKENS["pop-a"], "another-token")
        wire.sendall(body)
        assert read_answer(wire).counts == (1, 0, 0)
        assert status_with(daemon, TOKENS["pop-a"], "late") == 401
        assert status_with(daemon, "another-token", "new") == 200
        assert other.send(ndjson(a_record("other"))).counts == (0, 1, 0)
    assert keys(daemon, "reloaded") == ["feeds.pops.sources.pop-a.token"]
    assert "another-token" not in daemon.text


def test_a_new_source_may_post_and_one_that_is_gone_may_not(reloaded: Reloaded) -> None:
    daemon, reload = reloaded
    reload(
        "[feeds.pops.sources.pop-b]", '[feeds.pops.sources.pop-c]\ntoken = "token-of-pop-c"\n[feeds.pops.sources.pop-b]'
    )
    assert status_with(daemon, "token-of-pop-c", "c") == 200
    assert status_with(daemon, TOKENS["pop-b"], "b") == 200
    reload(f'[feeds.pops.sources.pop-b]\ntoken = "{TOKENS["pop-b"]}"\n', "")
    assert status_with(daemon, TOKENS["pop-b"], "b") == 401
    assert status_with(daemon, "token-of-pop-c", "c") == 200


def test_a_stream_whose_token_is_gone_gets_its_answers_and_is_closed(reloaded: Reloaded) -> None:
    daemon, reload = reloaded
    host, port = daemon.addresses["feeds.pops"]

    def stream(source: str) -> Any:
        bearer = {"Authorization": f"Bearer {TOKENS[source]}"}
        return connect(f"ws://{host}:{port}/v1/stream", additional_headers=bearer)

    with stream("pop-a") as gone, stream("pop-b") as kept:
        gone.send(ndjson(a_record("x")))
        assert json.loads(gone.recv(WITHIN_S))["accepted"] == 1
        reload(TOKENS["pop-a"], "another-token")
        with pytest.raises(ConnectionClosed) as closed:
            gone.recv(WITHIN_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        kept.send(ndjson(a_record("y")))
        assert json.loads(kept.recv(WITHIN_S))["accepted"] == 1


def test_the_default_tariff_holds_from_the_next_record_on(provisioned: Site, reloaded: Reloaded) -> None:
    daemon, reload = reloaded
    accounts = provisioned.files.accounts.read_text().replace(",standard,", ",,")
    provisioned.done("import", "accounts", provisioned.write("accounts.csv", accounts))
    with daemon.pop() as pop:
        assert pop.send(ndjson(a_record("before"))).counts == (0, 0, 1)
        reload("[ops]", '[rating]\ndefault_tariff = "standard"\n[ops]')
        assert pop.send(ndjson(a_record("after"))).counts == (1, 0, 0)


def test_what_needs_a_restart_is_named_and_not_done(reloaded: Reloaded) -> None:
    daemon, reload = reloaded
    reload("[ops]", "commit_records = 5\n[ops]")
    assert keys(daemon, "differs, and needs a restart") == ["store.commit_records"]
    assert status_with(daemon, TOKENS["pop-a"], "x") == 200


def test_a_broken_configuration_is_one_line_and_the_daemon_goes_on(reloaded: Reloaded) -> None:
    daemon, reload = reloaded
    before = len(daemon.log)
    reload(f'token = "{TOKENS["pop-a"]}"', "token = 1")
    assert status_with(daemon, TOKENS["pop-a"], "x") == 200
    (told,) = daemon.log[before:]
    assert json.loads(told)["level"] == "error"
    assert "feeds.pops.sources.pop-a.token" in told
    reload("token = 1", 'token = "another-token"')
    assert status_with(daemon, "another-token", "y") == 200
