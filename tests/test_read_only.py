"""read_only=True: reading without creating or changing anything."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import peewee
import pytest
from guarantees.processes import run

from vulcan_store import (
    LogLine,
    StoreUnavailableError,
    Workload,
    append_log_lines,
    claim_workload,
    create_workload,
    create_workloads,
    get_workload,
    list_workloads,
    open_store,
    purge_workloads,
    update_workload,
    update_workload_status,
)
from vulcan_store.testing import make_workload


def contents(folder):
    return {entry.name: entry.read_bytes() for entry in Path(folder).iterdir()}


@pytest.fixture(params=["wal", "delete"])
def stored(path, request):
    """A file with a pending and a finished workload, closed, in either journal mode."""
    with open_store(path, pragmas={"journal_mode": request.param}):
        make_workload(id="z", status="killed", created_at=datetime(2020, 1, 1, tzinfo=UTC))
        make_workload(id="a", node_id="n", output=b"x")
    return path


def test_reading_works_and_leaves_folder_and_file_as_they_were(stored):
    before = contents(Path(stored).parent)

    with open_store(stored, read_only=True):
        assert get_workload("a").node_id == "n"
        assert list_workloads().total == Workload.select().count() == 2

    assert contents(Path(stored).parent) == before


WRITES = {
    "create": lambda: create_workload(runtime="go"),
    "status": lambda: update_workload_status("a", "running"),
    "final status": lambda: update_workload_status("a", "killed"),
    "fields": lambda: update_workload("a", output=b"y"),
    "create many": lambda: create_workloads([{"runtime": "go"}]),
    "claim": lambda: claim_workload("n"),
    "purge": lambda: purge_workloads(datetime(2026, 2, 18, tzinfo=UTC)),
    "append to a log": lambda: append_log_lines("a", ["x"]),
}
PEEWEES_OWN = {
    "save": lambda: Workload(runtime="go").save(),
    "insert": lambda: Workload.insert(runtime="go").execute(),
    "update": lambda: Workload.update(node_id="m").execute(),
    "delete": lambda: Workload.delete().execute(),
    "log line": lambda: LogLine.create(workload="a", seq=0, line="x"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_every_write_is_refused(stored, write):
    before = contents(Path(stored).parent)

    with open_store(stored, read_only=True):
        with pytest.raises(StoreUnavailableError) as refusal:
            write()

        assert (refusal.value.target, "read_only" in refusal.value.reason) == (stored, True)
        assert refusal.value.__cause__ is None  # it was not even sent
        assert get_workload("a").__data__ == list_workloads().items[0].__data__
    assert contents(Path(stored).parent) == before


@pytest.mark.parametrize("write", PEEWEES_OWN.values(), ids=PEEWEES_OWN)
def test_every_write_of_peewees_own_is_refused_too(stored, write):
    before = contents(Path(stored).parent)

    with open_store(stored, read_only=True):
        with pytest.raises((StoreUnavailableError, peewee.OperationalError)):
            write()

        assert list_workloads().total == 2
    assert contents(Path(stored).parent) == before


def test_a_refused_write_in_a_transaction_of_ones_own_leaves_it_usable(stored):
    with open_store(stored, read_only=True) as store:
        with store.database.atomic():
            with pytest.raises(StoreUnavailableError):
                create_workload(runtime="go")

            assert list_workloads().total == 2


def test_what_others_write_meanwhile_is_seen(stored):
    with open_store(stored):
        with open_store(stored, read_only=True) as reader:
            writer = sqlite3.connect(stored)
            writer.execute("UPDATE workloads SET node_id = 'm'")
            writer.commit()
            writer.close()

            assert get_workload("a").node_id == "m"
            assert reader.database is not None


def test_a_wal_that_was_left_behind_is_read_and_left(path):
    run(
        "import os, sys; from vulcan_store import *\n"
        "open_store(sys.argv[1]); create_workload(runtime='go'); os._exit(0)", path
    )
    before = contents(Path(path).parent)

    with open_store(path, read_only=True):
        assert list_workloads().total == 1

    after = contents(Path(path).parent)
    assert [name for name in before if before[name] != after[name] and not str(name).endswith("-shm")] == []


def test_memory_has_nothing_to_read():
    with pytest.raises(StoreUnavailableError, match="has no table 'workloads'"):
        open_store(":memory:", read_only=True)


def test_a_missing_file_is_refused_and_not_made(path):
    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(path, read_only=True)

    assert "no such file" in refusal.value.reason
    assert contents(Path(path).parent) == {}


@pytest.mark.parametrize("content", ["", "CREATE TABLE theirs (x)"], ids=["empty", "theirs"])
def test_a_file_without_our_tables_is_refused_and_left_alone(path, content):
    connection = sqlite3.connect(path)
    connection.executescript(content)
    connection.close()
    Path(path).touch()
    before = contents(Path(path).parent)

    with pytest.raises(StoreUnavailableError) as refusal:
        open_store(path, read_only=True)

    assert "'workloads'" in refusal.value.reason
    assert contents(Path(path).parent) == before


def test_indexes_that_are_missing_are_not_made(stored):
    connection = sqlite3.connect(stored)
    connection.execute("DROP INDEX idx_log_lines_workload")
    connection.commit()
    connection.close()
    before = contents(Path(stored).parent)

    with open_store(stored, read_only=True):
        assert list_workloads().total == 2

    assert contents(Path(stored).parent) == before


def test_the_journal_mode_is_not_switched(path):
    with open_store(path, pragmas={"journal_mode": "delete"}):
        make_workload()
    before = contents(Path(path).parent)

    with open_store(path, read_only=True, pragmas={"journal_mode": "wal"}) as store:
        mode = store.database.execute_sql("PRAGMA journal_mode").fetchone()

    assert mode == ("delete",)
    assert contents(Path(path).parent) == before


def test_a_wal_file_in_a_folder_that_may_not_be_written_says_what_would_help(path):
    open_store(path).close()
    os.chmod(Path(path).parent, 0o500)
    if os.access(Path(path).parent, os.W_OK):
        pytest.skip("this user may write everywhere")

    try:
        with pytest.raises(StoreUnavailableError) as refusal:
            open_store(path, read_only=True)
    finally:
        os.chmod(Path(path).parent, 0o700)

    assert "WAL" in refusal.value.reason
    assert "copy" in refusal.value.reason
