"""Opening: what it makes, nesting, repeating, and that importing does nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest

from vulcan_store import (
    SchemaMismatchError,
    Store,
    Workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload_status,
)
from vulcan_store.testing import make_workload


def table_names(path):
    connection = sqlite3.connect(path)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


def test_opening_creates_the_file_and_its_tables(path):
    with open_store(path) as store:
        assert isinstance(store, Store)

    assert {"workloads", "log_lines"} <= table_names(path)


def test_what_was_stored_is_there_when_the_file_is_opened_again(path):
    with open_store(path):
        made = make_workload(status="running", output=b"\x00")

    with open_store(path):
        assert get_workload(made.id).__data__ == made.__data__


def test_opening_the_same_file_twice_does_no_harm(path):
    with open_store(path):
        first = make_workload()
        with open_store(path):
            second = make_workload()
            assert list_workloads().total == 2

        assert {workload.id for workload in list_workloads().items} == {first.id, second.id}


def test_each_memory_store_is_its_own():
    with open_store(":memory:"):
        make_workload()
        with open_store(":memory:"):
            assert list_workloads().total == 0

        assert list_workloads().total == 1


def test_stores_nest(tmp_path):
    outer = open_store(tmp_path / "outer.db")
    make_workload(id="outer")
    inner = open_store(tmp_path / "inner.db")
    make_workload(id="inner")

    found = {Workload.select().get().id}
    inner.close()
    found_after = {Workload.select().get().id}
    outer.close()

    assert (found, found_after) == ({"inner"}, {"outer"})


def test_the_with_block_opens_no_transaction(store):
    make_workload(id="a")

    assert not store.database.in_transaction()


def test_importing_opens_nothing_and_touches_no_file(tmp_path):
    program = (
        "import sys; events = []\n"
        "sys.addaudithook(lambda event, args: events.append(event) if event.startswith('sqlite3.connect') else None)\n"
        "import vulcan_store\n"
        "print(events)"
    )

    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert list(tmp_path.iterdir()) == []


def test_tables_that_lack_columns_are_named(path):
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE workloads (id TEXT PRIMARY KEY, runtime TEXT)")
    connection.close()

    with pytest.raises(SchemaMismatchError) as refusal:
        open_store(path)

    assert (refusal.value.target, refusal.value.table) == (path, "workloads")
    assert "status" in refusal.value.missing
    assert "runtime" not in refusal.value.missing
    assert table_names(path) == {"workloads"}


def test_columns_beside_ours_do_no_harm(path):
    open_store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE workloads ADD COLUMN newer TEXT DEFAULT 'x'")
    connection.close()

    with open_store(path):
        made = make_workload(node_id="n")
        update_workload_status(made.id, "running")

        assert get_workload(made.id).node_id == list_workloads().items[0].node_id == "n"


def test_an_index_that_is_missing_is_made_again(path):
    open_store(path).close()
    connection = sqlite3.connect(path)
    everything = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.execute("DROP INDEX idx_log_lines_workload")
    connection.commit()

    open_store(path).close()

    assert connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall() == everything
    connection.close()
