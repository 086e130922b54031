"""A site for each acceptance test that wants one."""

import shutil
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A configuration and provisioning files; no store yet."""
    return Site(tmp_path / "site")


@pytest.fixture(scope="session")
def provisioned_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a tariff, and eight accounts with a line each, made once by the commands for it."""
    site = Site(tmp_path_factory.mktemp("provisioned"))
    site.provision()
    return site.store


@pytest.fixture
def provisioned(site: Site, provisioned_store: Path) -> Site:
    """A site with a copy of that store."""
    shutil.copy(provisioned_store, site.store)
    return site
