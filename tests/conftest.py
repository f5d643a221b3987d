"""What the tests share: every test that takes ``store`` runs on every engine."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest
from postgres_server import PostgresServer, fresh_schema, started

pytest_plugins = ["vulcan_store.testing"]


# A shell starts what runs in the background with Ctrl-C ignored, and so do programs that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    group = parser.getgroup("guarantees")
    group.addoption(
        "--crash-rounds", type=int, default=20, metavar="N", help="how often two writers are killed (default: 20)"
    )
    group.addoption(
        "--values", type=int, default=4000, metavar="N", help="how many random workloads are written (default: 4000)"
    )


def pytest_terminal_summary(terminalreporter):
    """One line for all that was skipped, where ``-rs`` prints one for each."""
    skipped = [report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])]
    if skipped:
        reasons = (f"{count} ({reason})" for reason, count in Counter(skipped).most_common())
        terminalreporter.write_line(f"not run: {', '.join(reasons)}")


@pytest.fixture(scope="session")
def postgres():
    """The URL of a PostgreSQL server, with a password in it."""
    if os.environ.get("VULCAN_TEST_POSTGRES_URL"):
        yield os.environ["VULCAN_TEST_POSTGRES_URL"]
        return
    server = started(PostgresServer)
    yield server.url()
    server.remove()


@pytest.fixture
def postgres_target(postgres):
    """The URL of an empty store on PostgreSQL."""
    with fresh_schema(postgres) as url:
        yield url


@pytest.fixture(params=["memory", "file", "postgres"])
def workload_store_target(request, tmp_path):
    if request.param == "postgres":
        return request.getfixturevalue("postgres")  # the plugin makes a schema in it
    return ":memory:" if request.param == "memory" else str(tmp_path / "vulcan.db")


@pytest.fixture
def store(workload_store):
    return workload_store


@pytest.fixture
def target(store):
    """What another process opens to get at the same store."""
    return os.environ["VULCAN_DB_PATH"]


@pytest.fixture
def path(tmp_path):
    """Where a file store may be made, for what is only true of files."""
    return str(tmp_path / "vulcan.db")
