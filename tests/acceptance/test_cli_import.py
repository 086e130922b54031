"""Importing accounts, lines and tariffs: all or nothing, errors by row, with and without a running daemon."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mediation.cli.import_help import OF_KIND
from tests.acceptance.daemon_process import DaemonProcess, Site, one_line, run_here
from tests.integration.daemon_in_thread import rows_of
from tests.pop_by_hand import PopByHand
from tests.small_site import BOSTON, DECK, TARIFF, a_record, account, accounts_csv, line, lines_csv, ndjson

ACCOUNTS = "account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day\n"
LINES = "line,account,provider,service,switch\n"
GOOD_ACCOUNT = "5000000000,New,new@customers.example,USD,Europe/London,,standard,,31\n"
GOOD_LINE = f"+442079460100,{account(0)},Metro,local,\n"


def is_provisioned(site: Site, number: str) -> bool:
    """Whether an account or a line is in the store."""
    found = rows_of(site.store, "SELECT account FROM accounts WHERE account = ?", number)
    return bool(found or rows_of(site.store, "SELECT line FROM lines WHERE line = ?", number.lstrip("+")))


@contextmanager
def with_and_without(site: Site, running: bool) -> Iterator[DaemonProcess | None]:
    if not running:
        yield None
        return
    with site.serving() as daemon:
        yield daemon
        assert daemon.is_running


WRONG_ACCOUNTS = {
    "one wrong cell": (GOOD_ACCOUNT + GOOD_ACCOUNT.replace("5000000000", "6").replace("USD", "dollars"), {3}),
    "three wrong rows of five": (
        GOOD_ACCOUNT
        + GOOD_ACCOUNT.replace("5000000000", "6").replace("Europe/London", "Europe/Camelot")
        + GOOD_ACCOUNT.replace("5000000000", "7").replace(",31", ",32")
        + GOOD_ACCOUNT.replace("5000000000", "8")
        + GOOD_ACCOUNT.replace("5000000000", "9").replace(",,standard", ",-1.00,standard"),
        {3, 4, 6},
    ),
    "a cell too few": (GOOD_ACCOUNT + "6,Six\n", {3}),
    "a cell too many": (GOOD_ACCOUNT + GOOD_ACCOUNT.strip() + ",,,,,,\n", {3}),
    "no account": (GOOD_ACCOUNT + GOOD_ACCOUNT.replace("5000000000", ""), {3}),
    "an account twice": (GOOD_ACCOUNT + GOOD_ACCOUNT, {3}),
    "after a blank line": ("\n" + GOOD_ACCOUNT + "\n" + GOOD_ACCOUNT.replace("USD", "usd"), {5}),
    "a quote that never ends": (GOOD_ACCOUNT + '6,"Six\n', {3}),
}


@pytest.mark.parametrize("running", [False, True], ids=["alone", "while the daemon runs"])
@pytest.mark.parametrize(("rows", "wrong"), WRONG_ACCOUNTS.values(), ids=WRONG_ACCOUNTS.keys())
def test_one_wrong_row_and_nothing_is_imported(provisioned: Site, rows: str, wrong: set[int], running: bool) -> None:
    with with_and_without(provisioned, running):
        ended = provisioned.command("import", "accounts", provisioned.write("new.csv", ACCOUNTS + rows))
    assert ended.returncode == 1
    assert ended.stdout == b""
    said = ended.stderr.decode().splitlines()
    named = {row for row in range(1, 10) if any(f"row {row}," in told for told in said)}
    assert named == wrong
    assert all("new.csv" in told or "nothing" in told for told in said)
    assert not is_provisioned(provisioned, "5000000000")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param("accounts", ACCOUNTS.replace("currency", "money") + GOOD_ACCOUNT, id="an unknown column"),
        pytest.param("accounts", ACCOUNTS.replace(",cycle_day", "") + GOOD_ACCOUNT[:-4] + "\n", id="a missing column"),
        pytest.param("accounts", "", id="an empty file"),
        pytest.param("accounts", GOOD_ACCOUNT, id="no header"),
        pytest.param("lines", LINES + GOOD_LINE + f"x,{account(0)},Metro,local,\n", id="a line that is no number"),
        pytest.param("lines", LINES + GOOD_LINE + "+442079460101,nobody,Metro,local,\n", id="an account not there"),
        pytest.param("lines", LINES + GOOD_LINE + GOOD_LINE.replace("+", ""), id="a line twice"),
        pytest.param("lines", LINES + GOOD_LINE + f"+442079460101,{account(0)},Metro,,\n", id="no service"),
    ],
)
def test_a_wrong_file_is_exit_1_and_leaves_the_store_alone(provisioned: Site, kind: str, text: str) -> None:
    before = rows_of(provisioned.store, "SELECT * FROM accounts"), rows_of(provisioned.store, "SELECT * FROM lines")
    ended = provisioned.command("import", kind, provisioned.write("new.csv", text))
    assert ended.returncode == 1
    assert b"new.csv" in ended.stderr
    after = rows_of(provisioned.store, "SELECT * FROM accounts"), rows_of(provisioned.store, "SELECT * FROM lines")
    assert after == before


def test_a_file_that_is_not_there_or_no_text_is_one_line(provisioned: Site) -> None:
    ended = provisioned.command("import", "accounts", provisioned.directory / "missing.csv")
    assert ended.returncode == 2
    assert "missing.csv" in one_line(ended.stderr)
    file = provisioned.directory / "latin1.csv"
    file.write_bytes((ACCOUNTS + GOOD_ACCOUNT.replace("New", "Zoë")).encode("latin-1"))
    ended = provisioned.command("import", "accounts", file)
    assert ended.returncode in (1, 2)
    assert "latin1.csv" in one_line(ended.stderr)


@pytest.mark.parametrize("running", [False, True], ids=["alone", "while the daemon runs"])
def test_an_import_is_in_the_audit_log_and_a_refused_one_is_not(provisioned: Site, running: bool) -> None:
    favourites = provisioned.write("f.csv", f"account,number\n{account(0)},{BOSTON}\n")
    with with_and_without(provisioned, running):
        provisioned.done("import", "accounts", provisioned.write("a.csv", accounts_csv([20, 21])))
        provisioned.done("import", "lines", provisioned.write("l.csv", lines_csv([20])))
        provisioned.done("import", "favourites", favourites)
        provisioned.done("import", "tariff", provisioned.files.tariff)
        wrong = provisioned.command("import", "accounts", provisioned.write("w.csv", ACCOUNTS + "5,,,,,,,,\n"))
    assert wrong.returncode == 1
    made = rows_of(provisioned.store, "SELECT actor, action, subject, detail FROM audit_log ORDER BY id")
    assert all(actor.startswith("command:") for actor, *_ in made)
    told = [(action, subject, detail.partition(", digest ")) for _, action, subject, detail in made]
    assert [(action, subject, detail) for action, subject, (detail, _, _) in told[3:]] == [
        ("import accounts", "file a.csv", "2 accounts"),
        ("import lines", "file l.csv", "1 line"),
        ("import favourites", "file f.csv", "1 favourite"),
        ("import tariff", "tariff 1", "standard: standard.toml with standard.csv, 2 rates"),
    ]
    assert told[0] == told[6], "the same text has the same digest"
    assert len({digest for _, _, (_, _, digest) in told}) == len(told) - 1


def test_names_that_nothing_is_behind_are_taken_with_a_warning(provisioned: Site) -> None:
    accounts = provisioned.write("a.csv", ACCOUNTS + "5,New,,USD,UTC,,nope,,1\n6,New,,USD,UTC,,standard,,1\n")
    assert provisioned.done("import", "accounts", accounts).decode().splitlines() == [
        "warning: there is no tariff nope: nothing is rated by it until it is imported",
        "2 accounts imported",
    ]
    text = LINES.strip() + ",tariff\n+442079460100,5,Metro,local,nowhere,nope\n"
    assert provisioned.answer("import", "lines", provisioned.write("l.csv", text)) == (
        0,
        {
            "imported": 1,
            "errors": [],
            "warnings": [
                "there is no tariff nope: nothing is rated by it until it is imported",
                "there is no switch nowhere: nothing is barred there until [switches.NAME] says how",
            ],
        },
    )


@pytest.mark.parametrize("kind", ["accounts", "lines", "favourites", "tariff", "rules", "enrolments"])
def test_the_help_of_a_kind_has_a_file_that_is_taken(site: Site, kind: str) -> None:
    said = run_here("import", kind, "--help")
    assert said.returncode == 0
    for needed in ("tariff", "accounts", "lines", "favourites", "rules", "enrolments"):
        text = OF_KIND[needed].replace("\n  ", "\n").partition("\n\n")[2]
        assert needed != kind or all(line in said.stdout.decode() for line in text.splitlines())
        if needed == "tariff":
            text, _, deck = text.partition("\n\n")
            site.write("standard.csv", deck.partition("\n")[2] + "\n")
        suffix = "toml" if needed in ("tariff", "rules") else "csv"
        site.done("import", needed, site.write(f"{needed}.{suffix}", text + "\n"))
        if needed == kind:
            return


def test_errors_by_row_are_data_for_programs_too(provisioned: Site) -> None:
    file = provisioned.write("new.csv", ACCOUNTS + GOOD_ACCOUNT.replace("USD", "x") + GOOD_ACCOUNT.replace("31", "x"))
    code, answer = provisioned.answer("import", "accounts", file)
    assert code == 1
    assert answer["imported"] == 0
    assert len(answer["errors"]) >= 2


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (GOOD_ACCOUNT.replace("USD", "x"), "nothing was imported: 1 error"),
        (2 * GOOD_ACCOUNT.replace("USD", "x").replace(",31", ",x"), "nothing was imported: 5 errors"),
        (40 * GOOD_ACCOUNT.replace("USD", "x").replace(",31", ",x"), "nothing was imported: 119 errors (69 more)"),
    ],
)
def test_what_is_counted_are_the_errors_and_not_their_rows(provisioned: Site, rows: str, said: str) -> None:
    ended = provisioned.command("import", "accounts", provisioned.write("new.csv", ACCOUNTS + rows))
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[-1].endswith(said)


def test_what_spreadsheets_write_is_understood(provisioned: Site) -> None:
    """A byte order mark, CRLF, quoted cells, other order of the columns."""
    file = provisioned.directory / "new.csv"
    text = "account,email,name,agent,currency,timezone,credit_limit,tariff,cycle_day,segment\r\n"
    text += '"5000000000","a@b.example","Smith, ""J."" & Söhne",,"USD","Europe/London","10.50","standard","1",""\r\n'
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    provisioned.done("import", "accounts", file)
    found = rows_of(provisioned.store, "SELECT name, credit_limit_micros FROM accounts WHERE account = '5000000000'")
    assert found == [('Smith, "J." & Söhne', 10_500_000)]


WRONG_TARIFFS = {
    "an unknown key": (TARIFF + 'colour = "blue"\n', None),
    "an unknown zone": (TARIFF.replace("America/New_York", "Mars/Olympus"), None),
    "no TOML": ("name = \n", None),
    "no deck": (TARIFF.replace("standard.csv", "missing.csv"), None),
    "an empty deck": (TARIFF, DECK.splitlines(True)[0]),
    "a negative rate": (TARIFF, DECK.replace("0.0600", "-0.0600")),
    "a period that is none": (TARIFF, DECK.replace("1,Home,,", "1,Home,peak,")),
}


@pytest.mark.parametrize("way", ["rate", "import", "import while the daemon runs"])
@pytest.mark.parametrize(("toml", "deck"), WRONG_TARIFFS.values(), ids=WRONG_TARIFFS.keys())
def test_a_wrong_tariff_is_refused_whole_with_exit_2(provisioned: Site, toml: str, deck: str | None, way: str) -> None:
    file = provisioned.write("standard.toml", toml)
    provisioned.write("standard.csv", deck or (provisioned.files.tariff.with_suffix(".csv")).read_text())
    before = rows_of(provisioned.store, "SELECT id FROM tariffs")
    with with_and_without(provisioned, way.endswith("runs")):
        ended = provisioned.rate(file) if way == "rate" else provisioned.command("import", "tariff", file)
    assert ended.returncode == 2
    assert "standard" in one_line(ended.stderr) or "missing" in one_line(ended.stderr)
    assert ended.stdout == b""
    assert rows_of(provisioned.store, "SELECT id FROM tariffs") == before


def first_accepted_within_a_second(pop: PopByHand, **fields: str) -> str:
    """Sends new records until one is taken; its id. The daemon follows an import within a second."""
    until = time.monotonic() + 1.0
    n = 0
    while True:
        n += 1
        id_ = f"try-{n}"
        if pop.send(ndjson(a_record(id_, **fields))).counts == (1, 0, 0):
            return id_
        assert time.monotonic() < until, "the import was not followed within a second"


def test_an_import_takes_effect_while_the_daemon_runs(provisioned: Site) -> None:
    stranger = a_record("early", calling=line(100))
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(stranger)).counts == (0, 0, 1)
        provisioned.done("import", "accounts", provisioned.write("a.csv", accounts_csv([100])))
        assert pop.send(ndjson(a_record("between", calling=line(100)))).counts == (0, 0, 1)
        provisioned.done("import", "lines", provisioned.write("l.csv", lines_csv([100])))
        taken = first_accepted_within_a_second(pop, calling=line(100))
        # What is in suspense stays there until somebody recycles it.
        assert pop.send(ndjson(stranger)).counts == (0, 1, 0)
        assert [row["id"] for row in provisioned.export("--account", account(100))] == [taken]
        assert provisioned.answer("recount")[0] == 0


def test_a_line_moves_to_another_account_from_a_date_on(provisioned: Site) -> None:
    moved = LINES.strip() + f",from\n{line(0)},{account(1)},Transcontinental,long-distance,,2025-11-01\n"
    with provisioned.serving() as daemon, daemon.pop() as pop:
        provisioned.done("import", "lines", provisioned.write("moved.csv", moved))
        # Midnight of the new account's zone, New York, is 04:00 UTC.
        for id_, start in (("before", "2025-11-01T03:59:59Z"), ("after", "2025-11-01T04:00:00Z")):
            assert pop.send(ndjson(a_record(id_, start=start, answer=None))).counts == (1, 0, 0)
        owners = {row["id"]: row["account"] for row in provisioned.export()}
    assert owners == {"before": account(0), "after": account(1)}


def test_tariff_versions_follow_each_other_while_the_daemon_runs(provisioned: Site) -> None:
    deck = provisioned.files.tariff.with_suffix(".csv").read_text()

    def import_version(valid_from: str, per_minute: str) -> None:
        provisioned.write("standard.csv", deck.replace("0.0600", per_minute))
        toml = provisioned.write("standard.toml", TARIFF.replace("2020-01-01", valid_from))
        provisioned.done("import", "tariff", toml)

    def call(id_: str, day: str) -> str:
        record = a_record(id_, called=BOSTON, duration=60, start=f"{day}T12:00:00Z", answer=None)
        assert pop.send(ndjson(record)).counts == (1, 0, 0)
        return str(provisioned.export()[-1]["charge"])

    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert call("a", "2025-11-20") == "0.0600"
        import_version("2025-11-15", "0.1200")
        assert call("b", "2025-11-20") == "0.1200"
        assert call("c", "2025-11-14") == "0.0600"
        import_version("2025-11-15", "0.1800")  # a correction: it holds for what comes from now on
        assert call("d", "2025-11-20") == "0.1800"
        assert call("e", "2025-11-14") == "0.0600"
        charges = {row["id"]: row["charge"] for row in provisioned.export()}
        assert charges == {"a": "0.0600", "b": "0.1200", "c": "0.0600", "d": "0.1800", "e": "0.0600"}
        for row in provisioned.export():  # each is explained by the version that it was rated by
            code, answer = provisioned.answer("explain", str(row["transaction"]))
            assert (code, answer["explanation"]["charge"]) == (0, row["charge"])
        assert provisioned.answer("recount")[0] == 0


def test_imports_follow_while_batches_keep_coming(provisioned: Site) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        for n in range(10, 20):
            provisioned.done("import", "accounts", provisioned.write("a.csv", accounts_csv([n])))
            assert pop.send(ndjson(*(a_record(f"{n}-{m}") for m in range(300)))).counts == (300, 0, 0)
            provisioned.done("import", "lines", provisioned.write("l.csv", lines_csv([n])))
            first_accepted_within_a_second(pop, calling=line(n), duration=n)
        assert provisioned.answer("recount")[1]["differences"] == 0
        assert daemon.terminate() == 0
    assert provisioned.answer("recount")[1]["differences"] == 0


def test_what_was_imported_without_the_daemon_is_there_when_it_starts(site: Site) -> None:
    """By processes of their own: the others here run in the test's."""
    for kind, file in (("tariff", site.files.tariff), ("accounts", site.files.accounts), ("lines", site.files.lines)):
        ended = site.process("import", kind, file)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout
    with site.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(a_record("x"))).counts == (1, 0, 0)
