"""A provisioned store, made once, and a daemon on a copy of it for each test that wants one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediation.cli import main
from tests.integration.daemon_in_thread import DaemonInThread, running
from tests.small_site import write_config, write_provisioning


@pytest.fixture(scope="session")
def provisioned_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with eight accounts, a line each, and their tariff."""
    directory = tmp_path_factory.mktemp("provisioned")
    config = write_config(directory)
    files = write_provisioning(directory / "files")
    for kind, file in (("tariff", files.tariff), ("accounts", files.accounts), ("lines", files.lines)):
        assert main(["import", kind, str(file), "--config", str(config)]) == 0
    return directory / "tollkeeper.db"


@pytest.fixture
def site(tmp_path: Path, provisioned_store: Path) -> Path:
    """A directory with a provisioned store, and no configuration yet."""
    shutil.copy(provisioned_store, tmp_path / "tollkeeper.db")
    return tmp_path


@pytest.fixture
def daemon(site: Path) -> Iterator[DaemonInThread]:
    """A daemon on a provisioned store, with the defaults."""
    with running(write_config(site)) as running_daemon:
        yield running_daemon


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory, provisioned_store: Path) -> Iterator[DaemonInThread]:
    """A daemon for all tests of a module that ask for it: they leave each other's records alone."""
    directory = tmp_path_factory.mktemp("shared")
    shutil.copy(provisioned_store, directory / "tollkeeper.db")
    with running(write_config(directory)) as running_daemon:
        yield running_daemon
