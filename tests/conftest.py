"""How tests that need real peers run: skipped, run where the peer is there, or failed where it is missing.

    @pytest.mark.peers("curl", "sqlite3")     # the commands that the test needs

`TOLLKEEPER_PEERS` unset skips them, visibly (`make test`); `required` fails what is missing or skips itself
(`make test-peers`); any other value runs those whose commands are on the path.
"""

import os
import shutil
from collections.abc import Generator

import pytest
from hypothesis import settings

# What is found at random is mended, or kept as a case; CI sees the same examples at every run.
settings.register_profile("ci", derandomize=True)
if "CI" in os.environ:
    settings.load_profile("ci")

PEERS = os.environ.get("TOLLKEEPER_PEERS", "")
REQUIRED = PEERS == "required"


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("peers")
    if marker is None:
        return
    if not PEERS:
        pytest.skip("needs real peers: run make test-peers, or set TOLLKEEPER_PEERS=1")
    missing = [command for command in marker.args if shutil.which(command) is None]
    if missing and REQUIRED:
        pytest.fail(f"missing peers: {', '.join(missing)}; make test-peers installs them as root", pytrace=False)
    if missing:
        pytest.skip(f"missing peers: {', '.join(missing)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where peers are required, a test that skips itself has not shown that they work together."""
    report = yield
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("peers"):
        report.outcome = "failed"
        report.longrepr = f"skipped where peers are required: {report.longrepr}"
    return report
