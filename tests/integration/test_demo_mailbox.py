"""The demo's mail server and our own courier's way to it; and senders who do not keep to the rules."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from control.alerts.mail import Mailer, Outcome
from mediation.demo.mailbox import Letter, Mailbox

LETTER = b"Subject: Service alert\r\n\r\nDear Ada,\r\n..two dots\r\nbye\r\n"


async def letter() -> bytes | None:
    return LETTER


async def test_a_letter_is_kept_as_it_was_sent(tmp_path: Path) -> None:
    told: list[Letter] = []
    mailbox = Mailbox(tmp_path / "mail", told.append)
    async with asyncio.timeout(20), mailbox.listening() as where:
        host, _, port = where.rpartition(":")
        mailer = Mailer(host, int(port), "noc@provider.example")
        for recipient in ("ada@example.com", "bob@example.com"):
            assert (await mailer.send(recipient, letter)).outcome is Outcome.TAKEN
        await mailer.rest()
    assert [one.recipient for one in told] == ["ada@example.com", "bob@example.com"]
    (ada,) = mailbox.to("ada@example.com")
    assert ada.subject == "Service alert"
    assert ada.file.read_bytes() == LETTER
    assert [file.name for file in sorted((tmp_path / "mail").iterdir())] == ["0001.eml", "0002.eml"]


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"DATA\r\nQUIT\r\n", [b"503", b"221"]),
        (b"VRFY ada\r\nNOOP\r\nQUIT\r\n", [b"502", b"250", b"221"]),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhalf a mess", [b"250", b"250", b"354"]),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\nDATA\r\nQUIT\r\n", [b"250", b"250", b"250", b"503", b"221"]),
    ],
)
async def test_who_does_not_keep_to_the_rules_leaves_nothing(
    tmp_path: Path, said: bytes, answered: list[bytes]
) -> None:
    mailbox = Mailbox(tmp_path)
    async with asyncio.timeout(20), mailbox.listening() as where:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(where.rpartition(":")[2]))
        writer.write(said)
        writer.write_eof()
        answers = (await reader.read()).splitlines()
        writer.close()
    assert [answer[:3] for answer in answers] == [b"220", *answered]
    assert mailbox.letters == []


async def test_a_line_without_an_end_ends_its_connection_and_no_other(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    async with asyncio.timeout(20), mailbox.listening() as where:
        host, _, port = where.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):  # what it has not read is answered by a reset
            writer.write(b"NOOP " + b"x" * 1_000_000)
            await writer.drain()
            await reader.read()
        writer.close()
        mailer = Mailer(host, int(port), "noc@provider.example")
        assert (await mailer.send("ada@example.com", letter)).outcome is Outcome.TAKEN
        await mailer.rest()


async def test_it_ends_while_somebody_is_connected(tmp_path: Path) -> None:
    async with asyncio.timeout(20):
        async with Mailbox(tmp_path).listening() as where:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(where.rpartition(":")[2]))
            assert (await reader.readline()).startswith(b"220")
        assert await reader.read() == b""
        writer.close()
