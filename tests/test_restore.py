"""A backup's content in place of the store's."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from files import run_sql
from guarantees.processes import exit_code, integrity, write_and_die
from workloads import ids

from vulcan_store import (
    SchemaMismatchError,
    StoreUnavailableError,
    append_log_lines,
    backup_store,
    create_workload,
    get_workload,
    list_log_lines,
    open_store,
    restore_store,
    update_workload_status,
)
from vulcan_store.testing import make_workload


@pytest.fixture
def copy(tmp_path):
    """A backup that holds one workload with a line."""
    with open_store(tmp_path / "origin.db"):
        make_workload(id="kept")
        append_log_lines("kept", ["line"])
        backup_store(tmp_path / "copy.db")
    return tmp_path / "copy.db"


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_restore_puts_the_backup_in_place_and_leaves_it_as_it_is(path, copy, kind):
    before = copy.read_bytes()
    with open_store(path if kind == "file" else ":memory:"):
        make_workload(id="later", output=bytes(100_000))

        restore_store(copy)

        assert ids() == ["kept"]
        assert [line.line for line in list_log_lines("kept")] == ["line"]
        update_workload_status("kept", "running")
    assert kind == "memory" or integrity(path) == "ok"
    assert copy.read_bytes() == before
    assert not [name for name in os.listdir(copy.parent) if name.startswith("copy.db-")]


def test_others_that_have_it_open_go_on_with_what_is_restored(path, copy):
    with open_store(path) as store, open_store(path, current=False) as other:
        make_workload(id="later")
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT id FROM workloads").fetchall() == [("later",)]

            store.restore_store(copy)

            assert reader.execute("SELECT id FROM workloads").fetchall() == [("later",)]
            reader.execute("COMMIT")
            assert reader.execute("SELECT id FROM workloads").fetchall() == [("kept",)]
        assert other.get_workload("kept").id == "kept"
        other.create_workload(runtime="go", id="new")
        assert store.get_workload("new").id == "new"
    assert integrity(path) == "ok"


def test_what_a_dead_writer_left_in_a_wal_does_not_overlay_it(path, copy):
    assert exit_code(write_and_die, path) == -signal.SIGKILL
    assert os.path.getsize(path + "-wal") > 100_000

    with open_store(path):
        restore_store(copy)
        assert ids() == ["kept"]

    with open_store(path):
        assert ids() == ["kept"]
    assert integrity(path) == "ok"


def test_an_earlier_versions_backup_is_completed_as_at_an_opening(path, copy):
    run_sql(copy, "DROP INDEX idx_log_lines_workload")

    with open_store(path):
        restore_store(copy)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'idx_log_lines_workload'").fetchall()


def missing(folder):
    return folder / "missing.db"


def no_database(folder):
    (folder / "text.db").write_text("hello " * 2000)
    return folder / "text.db"


def damaged(folder):
    content = bytearray((folder / "copy.db").read_bytes())
    content[4096 * 1:4096 * 2] = os.urandom(4096)
    (folder / "damaged.db").write_bytes(content)
    return folder / "damaged.db"


def a_folder(folder):
    return folder


def a_pipe(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def own(folder):
    return folder / "vulcan.db"


def a_view(folder):
    run_sql(folder / "copy.db", "ALTER TABLE workloads RENAME TO old; CREATE VIEW workloads AS SELECT * FROM old")
    return folder / "copy.db"


@pytest.mark.parametrize(
    "make", [missing, no_database, damaged, own, a_view, a_folder, a_pipe], ids=lambda make: make.__name__
)
def test_a_file_that_cannot_be_restored_is_refused_and_nothing_is_changed(path, copy, make):
    with open_store(path):
        make_workload(id="mine")

        with pytest.raises(SchemaMismatchError if make is a_view else StoreUnavailableError) as refusal:
            restore_store(make(Path(path).parent))

        assert str(refusal.value) and "disk" not in str(refusal.value)
        assert ids() == ["mine"]
        assert create_workload(runtime="go").id in ids()


def test_a_database_without_the_tables_is_refused_and_nothing_is_changed(path, tmp_path):
    run_sql(tmp_path / "other.db", "CREATE TABLE workloads (id TEXT)")

    with open_store(path):
        make_workload(id="mine")
        with pytest.raises(SchemaMismatchError) as refusal:
            restore_store(tmp_path / "other.db")

        assert refusal.value.table == "workloads"
        assert ids() == ["mine"]


def test_another_page_size_is_refused_and_nothing_is_changed(path, copy, tmp_path):
    run_sql(copy, "PRAGMA journal_mode = delete; PRAGMA page_size = 8192; VACUUM")

    with open_store(path):
        make_workload(id="mine")
        with pytest.raises(StoreUnavailableError, match="page size"):
            restore_store(copy)

        assert ids() == ["mine"]


def test_a_restore_waits_for_a_writer_no_longer_than_the_busy_timeout(path, copy):
    with open_store(path, pragmas={"busy_timeout": 100}) as store:
        make_workload(id="mine")
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailableError, match="locked"):
                restore_store(copy)
            writer.execute("ROLLBACK")

        assert ids() == ["mine"]
        assert store.database.pragma("busy_timeout") == 100
        restore_store(copy)
        assert ids() == ["kept"]


def test_a_restore_within_a_transaction_or_into_a_read_only_store_is_refused(path, copy):
    with open_store(path) as store:
        make_workload(id="mine")
        with store.database.atomic():
            with pytest.raises(StoreUnavailableError, match="transaction"):
                restore_store(copy)

    with open_store(path, read_only=True):
        with pytest.raises(StoreUnavailableError, match="read_only"):
            restore_store(copy)
        assert get_workload("mine").id == "mine"
