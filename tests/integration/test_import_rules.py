"""`import rules`: the same whether the store is handed over by a daemon or free; refused whole with exit 2."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest
from aiohttp import web

from control.payments.rule_rows import rules_on
from control.payments.rules import NO_RULES, EarlyPayment, Rules
from mediation import writer_rules, writer_socket
from mediation.cli import main
from mediation.config import read_config
from mediation.daemon import wall_clock
from mediation.feeds.problems import as_problems
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.sqlite import SqliteStore, open_store
from tests.small_site import write_config

RULES = 'name = "standard"\nvalid_from = "2026-01-01"\n[early_payment_discount]\npercent = "2"\ndays = 10\n'
STANDARD = Rules("standard", date(2026, 1, 1), EarlyPayment(2 * MICROS, 10))


@asynccontextmanager
async def owning(config: Path, *, listens: bool) -> AsyncIterator[SqliteStore]:
    """Who has the store, and takes rules at its socket as the daemon does."""
    store = await open_store(read_config(config).store.path, all_migrations(), wall_clock())
    app = web.Application(middlewares=[as_problems])
    writer_rules.add_routes(app, store, wall_clock)
    runner = web.AppRunner(app)
    await runner.setup()
    if listens:
        await writer_socket.listen(runner, read_config(config).store.path)
    try:
        yield store
    finally:
        await runner.cleanup()
        await store.close()


async def run(config: Path, text: str, *more: str) -> int:
    file = config.with_name("rules.toml")
    file.write_text(text)
    return await asyncio.to_thread(main, ["import", "rules", str(file), "--config", str(config), *more])


async def imported(config: Path, texts: list[str], *more: str, running: bool) -> tuple[list[int], Rules]:
    """The exit codes, and what is in force after them."""
    if running:
        async with owning(config, listens=True) as store:
            codes = [await run(config, text, *more) for text in texts]
            return codes, await store.read(rules_on, date(2026, 11, 20))
    codes = [await run(config, text, *more) for text in texts]
    async with owning(config, listens=False) as store:
        return codes, await store.read(rules_on, date(2026, 11, 20))


@pytest.mark.parametrize("running", [False, True])
async def test_rules_are_in_force_and_the_newest_of_them_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], running: bool
) -> None:
    config = write_config(tmp_path, tmp_path / "tollkeeper.db")
    texts = [RULES.replace('"2"', '"1"'), RULES]
    codes, rules = await imported(config, texts, running=running)
    assert codes == [0, 0]
    assert rules == Rules(STANDARD.name, STANDARD.valid_from, STANDARD.early, version=2)
    assert capsys.readouterr().out.splitlines() == ["version 1 of the rules", "version 2 of the rules"]


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    ("text", "named"), [(RULES + "cap = 1\n", "cap"), ("[tax]\n" + RULES, "name"), ("name =", "TOML")]
)
async def test_a_wrong_file_is_exit_2_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], running: bool, text: str, named: str
) -> None:
    config = write_config(tmp_path, tmp_path / "tollkeeper.db")
    codes, rules = await imported(config, [text], running=running)
    assert (codes, rules) == ([2], NO_RULES)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tollkeeper import: {tmp_path / 'rules.toml'}: ")
    assert named in line


async def test_a_program_is_told_the_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(tmp_path, tmp_path / "tollkeeper.db")
    assert await run(config, RULES, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"imported": 1, "errors": []}
