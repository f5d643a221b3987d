"""What the tests share: every test that takes ``store`` runs on every engine."""

import gc
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from cases import empty
from hypothesis import HealthCheck, settings
from postgres_server import PostgresServer, fresh_schema, started

from vulcan_store import open_store
from vulcan_store.testing import store_for_tests

pytest_plugins = ["vulcan_store.testing"]

ENGINES = ("memory", "file", "postgres")
IN_MEMORY = Path("/dev/shm")
ROOM = 2**30
"""The bytes that have to be free there."""

# A shell starts what runs in the background with Ctrl-C ignored, and so do programs that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true",
        help="try crashes, races, forks, interruptions and random values as often as it takes to be sure, on the disk",
    )


def pytest_configure(config):
    """Try the same examples each time, and put files into memory where it has room, unless the tests may take long.

    A new file on a disk takes longer than what most tests do with it. Programs see no difference; that what has to be
    on the disk is written there, ``guarantees/test_durability.py`` sees from the system calls.
    """
    settings.register_profile(
        "tests", derandomize=True, deadline=None, max_examples=100 if config.option.long else 10,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip
    settings.load_profile("tests")
    if not config.option.long and IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK):
        about = os.statvfs(IN_MEMORY)
        if about.f_bavail * about.f_frsize > ROOM and not about.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


def pytest_collection_finish():
    """Spare the garbage collector the thousands of tests; some tests call it, and a fork copies what it touches."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """One line for all that was skipped, where ``-rs`` prints one for each."""
    skipped = [report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])]
    if skipped:
        reasons = (f"{count} ({reason})" for reason, count in Counter(skipped).most_common())
        terminalreporter.write_line(f"not run: {', '.join(reasons)}")


@pytest.fixture(scope="session")
def effort(request):
    """How much of something to try: ``effort(3, long=20)`` is 3, and 20 with ``--long``."""
    return lambda usual, long: long if request.config.option.long else usual


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


@pytest.fixture
def remote(postgres_target):
    """A store on PostgreSQL that is open here."""
    with open_store(postgres_target) as store:
        yield store


@pytest.fixture(scope="module", params=ENGINES)
def shared_store(request, tmp_path_factory):
    """One store for the tests of a module, of which most take less time than the opening of a store."""
    if request.param == "postgres":
        target = request.getfixturevalue("postgres")
    else:
        target = ":memory:" if request.param == "memory" else tmp_path_factory.mktemp("shared") / "vulcan.db"
    with store_for_tests(target) as store:
        yield store


@pytest.fixture
def store(shared_store):
    """The store of the module, as empty as a new one, and watched by nobody; ``workload_store`` is a new one."""
    empty(shared_store)
    return shared_store


@pytest.fixture(params=ENGINES)
def workload_store_target(request):
    if request.param == "memory":
        return ":memory:"
    # Only what is asked for is made: folders that nobody uses take seconds, as often as this is called.
    # On the server the plugin makes a schema for each test.
    return request.getfixturevalue("postgres" if request.param == "postgres" else "path")


@pytest.fixture
def target(store):
    """What another process opens to get at the same store."""
    return os.environ["VULCAN_DB_PATH"]


@pytest.fixture
def path(tmp_path):
    """Where a file store may be made, for what is only true of files."""
    return str(tmp_path / "vulcan.db")


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A file with an empty store, which is copied in half the time that it takes to make one."""
    path = tmp_path_factory.mktemp("template") / "vulcan.db"
    open_store(path, current=False).close()
    return path


@pytest.fixture
def made(path, template):
    """Where there is an empty store in a file."""
    shutil.copyfile(template, path)
    return path


@pytest.fixture
def file_store(made, monkeypatch):
    """A file store that is open here, and that commands take from ``VULCAN_DB_PATH``."""
    path = made
    monkeypatch.setenv("VULCAN_DB_PATH", path)
    with open_store(path) as store:
        yield store
