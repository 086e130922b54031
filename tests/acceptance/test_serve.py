"""The daemon as a process: its start, its log, its end, and the places where a store may be."""

import json
import os
import signal as signals
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import DaemonProcess, Site, started
from tests.small_site import TOKENS, a_record, ndjson, some_records, write_config


def test_only_a_store_is_required(tmp_path: Path) -> None:
    config = tmp_path / "tollkeeper.toml"
    config.write_text('[store]\nurl = "sqlite:///relative.db"\n')
    with started(config) as daemon:
        daemon.wait_ready()
        assert daemon.terminate() == 0
    assert (tmp_path / "relative.db").is_file()


def test_the_log_is_json_on_stderr_and_ready_says_what_listens(provisioned: Site) -> None:
    with provisioned.serving() as daemon:
        assert set(daemon.addresses) == {"ops", "feeds.pops"}
        for path in ("/healthz", "/readyz", "/metrics"):
            assert daemon.ask_ops(path) == 200
        assert daemon.terminate() == 0
        for told in daemon.log:
            assert {"ts", "level", "message"} <= json.loads(told).keys()
        assert all(token not in daemon.text for token in TOKENS.values())


@pytest.mark.parametrize("signal", ["TERM", "INT"])
def test_a_signal_ends_it_with_exit_0(provisioned: Site, signal: str) -> None:
    with provisioned.serving() as daemon:
        os.kill(daemon.pid, getattr(signals, f"SIG{signal}"))
        assert daemon.wait() == 0
        assert "Traceback" not in daemon.text
    assert not provisioned.store.with_name("tollkeeper.db.sock").exists()


def test_a_signal_while_it_starts_ends_it_with_exit_0(provisioned: Site) -> None:
    with started(provisioned.config) as daemon:
        daemon.wait_first_line()  # it comes from a process that has set up its signals
        assert daemon.terminate() == 0, daemon.text


def test_sigterm_drains_what_was_taken_and_everything_acknowledged_is_there_once(provisioned: Site) -> None:
    """Six POPs send as fast as they can; in the middle of it the daemon is told to end."""
    acknowledged: list[str] = []
    enough = threading.Event()

    def send(daemon: DaemonProcess, name: str) -> None:
        with daemon.pop() as pop:
            for n in range(10_000):
                records = some_records(100, f"{name}-{n}")
                try:
                    answer = pop.send(ndjson(*records))
                except OSError:
                    return
                if answer.status != 200:
                    assert answer.status == 503
                    return
                acknowledged.extend(record["id"] for record in records)
                if len(acknowledged) > 3000:
                    enough.set()

    with provisioned.serving() as daemon:
        pops = [threading.Thread(target=send, args=(daemon, f"pop{n}")) for n in range(6)]
        for pop in pops:
            pop.start()
        assert enough.wait(20)
        assert daemon.terminate() == 0, daemon.text
        for pop in pops:
            pop.join(20)
    stored = Counter(row["id"] for row in provisioned.export())
    assert set(stored.values()) == {1}
    assert set(acknowledged) - stored.keys() == set()
    assert provisioned.answer("recount")[1]["differences"] == 0


def test_after_a_kill_it_starts_again_over_the_dead_ones_socket(provisioned: Site) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(*some_records(50)), "e/1").counts == (50, 0, 0)
        daemon.kill()
    # Without a daemon, beside its dead socket, the commands do the work themselves.
    assert len(provisioned.export()) == 50
    provisioned.done("import", "accounts", provisioned.files.accounts)
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(*some_records(50)), "e/1").counts == (0, 50, 0)
        code, answer = provisioned.answer("recount")
        assert (code, answer["transactions"], answer["differences"]) == (0, 50, 0)


def test_a_full_batch_sent_again_is_answered_while_its_sender_still_waits(provisioned: Site) -> None:
    """10 MB of duplicates: after a lost answer every POP sends so, and all others wait for it."""
    body = ndjson(*some_records(45_000))
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(body).counts == (45_000, 0, 0)
        assert pop.send(body).counts == (0, 45_000, 0)


@pytest.mark.parametrize("table", ["ops", "feeds.pops"])
def test_an_address_in_use_is_exit_1_and_named(provisioned: Site, table: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        head, mark, tail = provisioned.config.read_text().partition(f"[{table}]")
        provisioned.config.write_text(head + mark + tail.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1))
        with started(provisioned.config) as daemon:
            assert daemon.wait() == 1
            assert "Traceback" not in daemon.text
            assert f"[{table}]" in daemon.log[-1]
            assert str(port) in daemon.log[-1]


LONG = "a-directory-with-a-rather-long-name"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("/".join([LONG] * 6) + "/tollkeeper.db", id="deep"),
        pytest.param("x" * 120 + ".db", id="a long name"),
        pytest.param("with blanks é/the store.db", id="blanks"),
    ],
)
def test_a_store_may_lie_anywhere(tmp_path: Path, name: str) -> None:
    """Unix sockets have addresses of at most 107 bytes; the store's path does not."""
    store = tmp_path / name
    store.parent.mkdir(parents=True, exist_ok=True)
    site = Site(tmp_path / "site", store=store)
    site.provision()
    with site.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(a_record("x"))).counts == (1, 0, 0)
        site.provision(range(12))
        assert pop.send(ndjson(a_record("y", calling="+12125550011"))).counts == (1, 0, 0)
        code, answer = site.answer("recount")
        assert (code, answer["transactions"], answer["differences"]) == (0, 2, 0)
        assert daemon.terminate() == 0
    assert [row["id"] for row in site.export()] == ["x", "y"]


def test_a_relative_store_is_relative_to_the_configuration(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    text = write_config(site.directory).read_text()
    site.config.write_text(text.replace(f"sqlite:///{site.store}", "sqlite:///tollkeeper.db"))
    assert f"{site.store}" not in site.config.read_text()
    site.provision()
    assert site.store.is_file()
