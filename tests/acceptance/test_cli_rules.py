"""`import rules` as a command of its own: the running daemon takes them, and one that is started later knows them."""

import pytest

from tests.acceptance.daemon_process import Site, one_line
from tests.integration.daemon_in_thread import rows_of

RULES = 'name = "standard"\n[early_payment_discount]\npercent = "2"\ndays = 10\n[payment]\ndue_days = 21\n'


@pytest.mark.parametrize("running", [False, True], ids=["alone", "while the daemon runs"])
def test_rules_are_kept_and_wrong_ones_refused_with_exit_2(provisioned: Site, running: bool) -> None:
    good, wrong = provisioned.write("good.toml", RULES), provisioned.write("wrong.toml", RULES + "cap = 1\n")
    if running:
        with provisioned.serving() as daemon:
            said, ended = provisioned.done("import", "rules", good), provisioned.command("import", "rules", wrong)
            assert daemon.is_running
    else:
        said, ended = provisioned.done("import", "rules", good), provisioned.command("import", "rules", wrong)
    assert said == b"version 1 of the rules\n"
    assert ended.returncode == 2
    told = one_line(ended.stderr)
    assert "wrong.toml" in told
    assert "cap" in told
    kept = rows_of(provisioned.store, "SELECT id, name, discount_percent_micros, due_days, text FROM rule_versions")
    assert kept == [(1, "standard", 2_000_000, 21, RULES)]
    ((actor,),) = rows_of(provisioned.store, "SELECT actor FROM audit_log WHERE action = 'import rules'")
    assert actor.startswith("command:")
