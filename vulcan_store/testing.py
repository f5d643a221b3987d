"""For the tests of those who use the store: switch on with ``pytest_plugins = ["vulcan_store.testing"]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vulcan_store.current import create_workload, open_store
from vulcan_store.lifecycle import FINAL, Runtime, Status
from vulcan_store.models import clock
from vulcan_store.models.workload import Workload
from vulcan_store.store import Store


@pytest.fixture
def workload_store_target() -> str:
    """What :func:`workload_store` opens: ``":memory:"``; define a fixture of this name to test on another target."""
    return ":memory:"


@pytest.fixture
def workload_store(workload_store_target: str) -> Iterator[Store]:
    """A fresh store, the current one during the test, and closed afterwards."""
    with open_store(workload_store_target) as store:
        yield store


def make_workload(**fields: Any) -> Workload:
    """Store a workload that a test needs, and return it.

    Args:
        fields: those that matter to the test. ``runtime`` is python unless given, and the times belong to the
            ``status``: one that is running has started, one that is final has finished.

    Raises:
        What :func:`vulcan_store.create_workload` raises.
    """
    moment = fields.get("created_at") or clock.now()
    times: dict[str, Any] = {}
    if fields.get("status") in (Status.RUNNING, *FINAL):
        times["started_at"] = moment
    if fields.get("status") in FINAL:
        times["finished_at"] = moment
    given: dict[str, Any] = {"runtime": Runtime.PYTHON, **times, **fields}
    return create_workload(**given)
