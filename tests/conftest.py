"""What the tests share: every test that takes ``store`` runs on every engine."""

from __future__ import annotations

import pytest

pytest_plugins = ["vulcan_store.testing"]


@pytest.fixture(params=["memory", "file"])
def workload_store_target(request, tmp_path):
    return ":memory:" if request.param == "memory" else str(tmp_path / "vulcan.db")


@pytest.fixture
def store(workload_store):
    return workload_store


@pytest.fixture
def path(tmp_path):
    """Where a file store may be made, for what is only true of files."""
    return str(tmp_path / "vulcan.db")
