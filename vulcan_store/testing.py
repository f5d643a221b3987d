"""For the tests of those who use the store: a pytest plugin, and workloads to fill its stores with.

Switch it on in the ``conftest.py`` of the root folder, the only one that pytest takes plugins from:
``pytest_plugins = ["vulcan_store.testing"]``. From then on ``VULCAN_DB_PATH`` names a file of the tests' own, so that
code under test that opens a store without naming one never writes into a real ``vulcan.db``.

PYTEST_DONT_REWRITE, or pytest would warn where a ``conftest.py`` imports :func:`make_workload` from here as well:
https://docs.pytest.org/en/stable/how-to/assert.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

import pytest

from vulcan_store.current import create_workload, open_store
from vulcan_store.engines.registry import engine_of
from vulcan_store.lifecycle import Runtime
from vulcan_store.models.ids import new_id
from vulcan_store.models.typed import NewWorkload, OptionalFields
from vulcan_store.models.workload import Workload
from vulcan_store.store import Store


class MadeWorkload(OptionalFields, total=False):
    """The fields of a workload that a test needs."""

    runtime: str


@contextmanager
def store_for_tests(target: str | Path) -> Iterator[Store]:
    """Open a store that is the current one, and that ``VULCAN_DB_PATH`` names, until the block ends.

    On SQLite it has ``synchronous=off``: what a test writes need not survive a power cut. On a server it
    has a schema of its own, which is dropped afterwards, so it is empty whatever else is in the database.

    Args:
        target: as :func:`vulcan_store.open_store` has it. ``":memory:"`` is quick, but lets nobody read while a
            transaction writes, and what opens it a second time gets another store.
    """
    name = str(target)
    on_a_server = "://" in name and not name.lower().startswith("sqlite:")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        name = stack.enter_context(_own_schema(name)) if on_a_server else name
        store = stack.enter_context(open_store(name, pragmas=None if on_a_server else {"synchronous": "off"}))
        patch.setenv("VULCAN_DB_PATH", name)
        yield store


@contextmanager
def _own_schema(url: str) -> Iterator[str]:
    name = f"test_{new_id().lower()}"
    server = engine_of(url)(url, {}, False)
    server.start()
    try:
        server.execute_sql(f"CREATE SCHEMA {name}")
        try:
            yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
        finally:
            server.execute_sql(f"DROP SCHEMA {name} CASCADE")
    finally:
        server.shutdown()


@pytest.fixture(scope="session", autouse=True)
def _no_real_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VULCAN_DB_PATH", str(tmp_path_factory.mktemp("vulcan_store") / "vulcan.db"))
        yield


@pytest.fixture
def workload_store_target(tmp_path: Path) -> str:
    """What :func:`workload_store` opens: a file in the test's own folder.

    Define a fixture of this name to test on another target, ``":memory:"`` for example or a server's URL.
    A database there may be shared with others: each store gets a schema of its own, which is dropped afterwards.
    """
    return str(tmp_path / "vulcan.db")


@pytest.fixture
def workload_store(workload_store_target: str) -> Iterator[Store]:
    """A fresh store for each test: the current one meanwhile, which ``VULCAN_DB_PATH`` names, and closed afterwards."""
    with store_for_tests(workload_store_target) as store:
        yield store


@pytest.fixture(scope="module")
def module_workload_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """As :func:`workload_store`, but one store for all the tests of a module."""
    with store_for_tests(tmp_path_factory.mktemp("module") / "vulcan.db") as store:
        yield store


@pytest.fixture(scope="session")
def session_workload_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """As :func:`workload_store`, but one store for the whole session."""
    with store_for_tests(tmp_path_factory.mktemp("session") / "vulcan.db") as store:
        yield store


def make_workload(**fields: Unpack[MadeWorkload]) -> Workload:
    """Store a workload that a test needs in the current store, and return it.

    Args:
        fields: those that matter to the test. ``runtime`` is python unless given.

    Raises:
        What :func:`vulcan_store.create_workload` raises.
    """
    new: NewWorkload = {"runtime": Runtime.PYTHON, **fields}
    return create_workload(**new)
