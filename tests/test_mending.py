"""A file of an earlier version, which has NULL where the server cannot scan it, and an index that was given up."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import server_file
from guarantees.processes import PATIENCE, in_processes
from test_absent_text import Stored

from vulcan_store import Workload, create_workload, get_workload, iter_workloads, list_workloads, open_store
from vulcan_store.operations import mending
from vulcan_store.models.indexes import GIVEN_UP

NULLS = [
    ("n0", None, None), ("n1", "h", None), ("n2", None, "wrong"), ("n3", "", ""), ("n4", "h", "größer"),
]
MENDED = [(key, hash_ or "", error or "") for key, hash_, error in NULLS]
INSERT = """
    INSERT INTO workloads (id, status, isolation, runtime, node_id, input_hash, error, created_at)
    VALUES (?, 'completed', 'auto', 'go', '', ?, ?, '2026-02-18 12:00:00.000000+00:00')
"""
TEXTS = "SELECT id, input_hash, error FROM workloads ORDER BY id"
SCHEMA = "SELECT type, name, sql FROM sqlite_master ORDER BY name"


def ask(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def leave_null(path, rows=NULLS):
    """What an earlier version did to a file that is there."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(INSERT, rows)
        connection.execute(
            "CREATE INDEX IF NOT EXISTS vulcan_store_input_hash ON workloads (input_hash, created_at, id) "
            "WHERE input_hash IS NOT NULL"
        )


@pytest.fixture(params=["the server's tables", "this version's indexes"])
def earlier(request, path):
    """The path of a file that an earlier version wrote to last, before or after this version had it open."""
    if request.param == "the server's tables":
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"PRAGMA journal_mode = wal; {server_file.SCHEMA}")
    else:
        open_store(path).close()
    leave_null(path)
    return path


def mend_at_once(barrier, place, path):
    barrier.wait(PATIENCE)
    with open_store(path):
        for number in range(20):
            create_workload(runtime="go", id=f"{place} {number}")


def test_opening_for_writing_mends_it_so_that_the_server_scans_it(earlier):
    with open_store(earlier):
        pass

    assert ask(earlier, TEXTS) == MENDED
    with closing(sqlite3.connect(earlier)) as connection:
        assert len(server_file.scan(connection)) == len(NULLS)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_fills_several_batches_is_mended_to_its_end(earlier, monkeypatch, size):
    monkeypatch.setattr(mending, "WORKLOADS_AT_ONCE", size)
    mending._mend.plans.clear()

    open_store(earlier).close()
    mending._mend.plans.clear()

    assert ask(earlier, TEXTS) == MENDED


def test_mending_leaves_every_other_value_byte_for_byte(earlier):
    with closing(sqlite3.connect(earlier)) as connection, connection:
        connection.execute("UPDATE workloads SET input_hash = CAST(x'ff' AS TEXT), output = x'00' WHERE id = 'n1'")
    values = ", ".join(f"typeof({name}) || ' ' || hex({name})" for name in server_file.COLUMNS)
    before = ask(earlier, f"SELECT {values} FROM workloads ORDER BY id")

    open_store(earlier).close()

    places = [server_file.COLUMNS.index(name) for name in ("input_hash", "error")]
    assert ask(earlier, f"SELECT {values} FROM workloads ORDER BY id") == [
        tuple("text " if place in places and value == "null " else value for place, value in enumerate(row))
        for row in before
    ]
    assert before[1][places[0]] == "text FF"


def test_reading_only_sees_empty_text_and_changes_nothing(earlier):
    before, schema = ask(earlier, TEXTS), ask(earlier, SCHEMA)

    with open_store(earlier, read_only=True):
        found = [(workload.id, workload.input_hash, workload.error) for workload in iter_workloads()]
        one = get_workload("n0")
        empty, several, hashed = (list_workloads(input_hash=value) for value in ("", ["", "h", "x"], "h"))
        own = [workload.id for workload in Workload.select().where(Workload.error == "").order_by(Workload.id)]
        tuples = list(Workload.select(Workload.id, Workload.input_hash, Workload.error).order_by(Workload.id).tuples())

    assert sorted(found) == MENDED
    assert (one.input_hash, one.error) == ("", "")
    assert ([workload.id for workload in empty.items], empty.total) == (["n3", "n2", "n0"], 3)
    assert ([workload.id for workload in several.items], several.total) == (["n4", "n3", "n2", "n1", "n0"], 5)
    assert ([workload.id for workload in hashed.items], hashed.total) == (["n4", "n1"], 2)
    assert own == ["n0", "n1", "n3"]
    assert tuples == MENDED
    assert (ask(earlier, TEXTS), ask(earlier, SCHEMA)) == (before, schema)


def test_opening_only_to_read_does_not_look_through_the_table_for_what_to_mend(earlier, monkeypatch):
    monkeypatch.setattr(mending, "_holding_null", lambda *_: pytest.fail("looks for NULL"))

    with open_store(earlier, read_only=True):
        assert get_workload("n0").error == ""


def test_an_index_that_was_given_up_is_dropped_and_none_that_somebody_else_made(earlier):
    foreign = "CREATE INDEX somebodys_hashes ON workloads (input_hash) WHERE input_hash IS NOT NULL"
    with closing(sqlite3.connect(earlier)) as connection:
        connection.execute(foreign)

    open_store(earlier).close()

    indexes = {name: sql for kind, name, sql in ask(earlier, SCHEMA) if kind == "index"}
    assert not indexes.keys() & set(GIVEN_UP)
    assert indexes["somebodys_hashes"] == foreign
    assert "!= ''" in indexes["vulcan_store_input_hash_3"]


def test_null_that_comes_later_is_mended_at_the_next_opening(path):
    with open_store(path):
        leave_null(path)

        with open_store(path):
            pass

        assert ask(path, TEXTS) == MENDED


def test_processes_that_open_it_at_once_and_write_all_succeed(earlier):
    leave_null(earlier, [(f"more {number}", None, None) for number in range(3000)])

    in_processes(4, mend_at_once, earlier)

    assert ask(earlier, "SELECT COUNT(*) FROM workloads WHERE input_hash IS NULL OR error IS NULL") == [(0,)]
    assert ask(earlier, "SELECT COUNT(*) FROM workloads") == [(len(NULLS) + 3000 + 4 * 20,)]


def test_a_file_that_another_is_writing_opens_and_is_mended_the_next_time(path):
    open_store(path).close()
    leave_null(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        with open_store(path, pragmas={"busy_timeout": 10}):
            assert get_workload("n0").error == ""

        writer.execute("COMMIT")
    open_store(path).close()
    assert ask(path, TEXTS) == MENDED


def test_a_file_with_nothing_to_mend_is_opened_without_waiting_for_who_writes(path):
    open_store(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        with open_store(path, pragmas={"busy_timeout": 0}):
            assert list_workloads().total == 0


def test_a_row_without_an_id_does_not_keep_the_opening_from_its_end(path):
    server_file.build(path)
    leave_null(path, [(None, None, None), *NULLS])

    open_store(path).close()

    assert [row for row in ask(path, TEXTS) if row[0] in {key for key, *_ in NULLS}] == MENDED


def test_whether_there_is_anything_to_mend_is_seen_from_an_empty_index(path):
    with open_store(path) as store:
        sql, values = mending._holding_null(store.database, {})

        plan = store.database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()

    assert [row[3] for row in plan] == ["SCAN t1 USING INDEX vulcan_store_null"]
    assert "WHERE" in dict(row[1:] for row in ask(path, SCHEMA))["vulcan_store_null"]


@pytest.mark.parametrize("shared_store", ["postgres"], indirect=True)
def test_a_server_is_mended_too(store, target):
    create_workload(runtime="go", id="a", input_hash="h", error="e")
    store.database.execute_sql("UPDATE workloads SET error = NULL")
    store.database.execute_sql("CREATE INDEX vulcan_store_input_hash ON workloads (input_hash)")
    assert get_workload("a").error == ""

    with open_store(target):
        pass

    (row,) = server_file.scan(Stored(store.database))
    assert (row["input_hash"], row["error"]) == ("h", "")
    assert not store.database.table_and_index_names() & set(GIVEN_UP)
