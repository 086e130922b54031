"""`tollkeeper demo --once`: the whole story, and its end with 1 and what was awaited where a step does not come;
and the demo to be watched, with those who may sign in."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from mediation.demo.site import PASSWORD
from mediation.demo.visitor import visiting
from tests.acceptance.daemon_process import PROGRAM, one_line, run_here, tollkeeper

STEPS = ["calls", "rated", "limit", "bar", "mail", "bill", "refused"]
WITHIN_S = 60.0

WITHOUT = """
import contextlib, sys
{change}
from mediation.cli import main
sys.exit(main(["demo", "--once", "--json", "--within", "4"]))
"""
NO_MAILBOX = """
from mediation.demo.mailbox import Mailbox
@contextlib.asynccontextmanager
async def closed(self):
    yield "127.0.0.1:1"
Mailbox.listening = closed
"""
A_SWITCH_THAT_FORGETS = """
from simulators.exchange import Exchange
Exchange.bar = lambda self, number, words: True
"""
CALLS_FOR_NOTHING = """
from mediation.demo import script
script.LONG_CALLS = 0
"""
NO_BILL = """
from mediation.demo import story
async def none(*_):
    return {"bills": 0}
story.bill_run = none
"""


def answer(ended: "subprocess.CompletedProcess[bytes]") -> dict[str, Any]:
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


def test_every_step_of_the_story_is_observed() -> None:
    ended = tollkeeper("demo", "--once", "--json", within_s=WITHIN_S)
    assert ended.returncode == 0, ended.stderr.decode()
    told = answer(ended)
    assert (told["steps"], told["missing"]) == (STEPS, None)
    assert [seen["step"] for seen in told["observed"]] == STEPS
    assert all(seen["what"] and seen["after_s"] >= 0 for seen in told["observed"])
    said = [line.split()[0] for line in ended.stderr.decode().splitlines()]
    assert [word for word in said if word in STEPS] == STEPS, "each was said as it was observed"


@pytest.mark.parametrize(
    ("change", "step", "awaited"),
    [
        (CALLS_FOR_NOTHING, "limit", "the firing of the account event"),
        (A_SWITCH_THAT_FORGETS, "bar", "the bar, confirmed at the switch"),
        (NO_MAILBOX, "mail", "a mail that tells the customer of the bar"),
        (NO_BILL, "bill", "one bill, not 0"),
    ],
)
def test_the_first_step_that_is_not_observed_is_named_with_what_was_awaited(
    change: str, step: str, awaited: str
) -> None:
    program = (sys.executable, "-c", WITHOUT.format(change=change))
    ended = subprocess.run(program, capture_output=True, timeout=WITHIN_S)
    assert ended.returncode == 1, ended.stderr.decode()
    told = answer(ended)
    assert told["steps"] == STEPS[: STEPS.index(step)]
    assert told["missing"]["step"] == step
    assert told["missing"]["awaited"].startswith(awaited)
    last = ended.stderr.decode().splitlines()[-1]
    assert last.startswith(f"tollkeeper demo: {step} was not observed: awaited {awaited}")
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("given", ["0", "-1", "soon", "1e3"])
def test_steps_are_waited_for_some_seconds(given: str) -> None:
    ended = run_here("demo", "--once", f"--within={given}")
    assert ended.returncode == 2
    assert "write 1 to 3600" in one_line(ended.stderr)


def test_an_address_that_is_taken_is_refused_before_anything_is_done() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run_here("demo", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert "choose another address" in one_line(ended.stderr)


async def test_the_demo_to_be_watched_lets_everybody_in_whom_it_names() -> None:
    arguments = (*PROGRAM, "demo", "--listen", "127.0.0.1:0")
    process = await asyncio.create_subprocess_exec(*arguments, stdout=PIPE, stderr=PIPE)
    assert process.stdout
    try:
        async with asyncio.timeout(WITHIN_S):
            said = []
            while line := await process.stdout.readline():
                said.append(line.decode().rstrip())
                if said[-1].startswith("Ctrl-C"):
                    break
        opening = "\n".join(said)
        names = re.findall(r"^sign in +(\w+)", opening, re.MULTILINE)
        assert sorted(names) == ["agent", "auditor", "customer", "newcomer", "operator", "staff"], opening
        mail = Path(re.findall(r"^mail +is kept in (.+)$", opening, re.MULTILINE)[0])
        (url,) = re.findall(r"^open +(http://\S+)$", opening, re.MULTILINE)
        owed_by = {name: await accounts_with_invoices(url, name) for name in ("customer", "newcomer", "agent", "staff")}
        (customer,) = owed_by["customer"]
        assert not owed_by["newcomer"], "who is not enrolled"
        assert {customer} < owed_by["agent"] < owed_by["staff"]
        assert "To: agent@example.com" in (mail / "0001.eml").read_text(), "the customer's agent heard of the enrolment"
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(WITHIN_S):
            _, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        assert not mail.parent.exists()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def accounts_with_invoices(url: str, name: str) -> set[str]:
    """Whose invoices somebody finds."""
    async with visiting(url) as visitor:
        await visitor.sign_in(name, PASSWORD)
        assert (await visitor.get("/api/v1/session"))["name"] == name
        return {invoice["account"] for invoice in (await visitor.get("/api/v1/invoices", limit=500))["items"]}
