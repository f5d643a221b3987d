"""Text that is not UTF-8, which the server can store: it reads with the replacement character and stops nothing."""

import json
import sqlite3
from contextlib import closing

import pytest
from cases import each
from values import LATER
from workloads import NOON

from vulcan_store import (
    LogLine,
    Workload,
    append_log_lines,
    claim_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_log_lines,
    list_workloads,
    open_store,
    purge_workloads,
    update_workload,
    update_workload_status,
    workload_stats,
)
from vulcan_store.testing import make_workload

READ = "a\ufffdb"


def spoil(path, column, workload_id="w", table="workloads", key="id"):
    """Make text of a column what the server may have stored."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            f"UPDATE {table} SET {column} = CAST(x'61ff62' AS TEXT) WHERE {key} = ?", (workload_id,)
        )


def stored(path, columns="id, hex(error)"):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM workloads ORDER BY rowid").fetchall()


def errors(workloads):
    return {workload.id: workload.error for workload in workloads}


@pytest.fixture
def spoilt(path):
    """A file with a workload ``w`` among others, whose error is not UTF-8."""
    with open_store(path) as store:
        for key in "vwx":
            make_workload(id=key, error=key, status="pending")
        append_log_lines("w", ["first", "second"])
        spoil(path, "error")
        yield store


READS = {
    "get": lambda: {"v": "v", "w": get_workload("w").error, "x": "x"},
    "list": lambda: errors(list_workloads(status=["pending", "failed"]).items),
    "stream": lambda: errors(iter_workloads()),
    "a query of one's own": lambda: errors(Workload.select()),
    "tuples": lambda: dict(Workload.select(Workload.id, Workload.error).tuples()),
    "dicts": lambda: {row["id"]: row["error"] for row in Workload.select(Workload.id, Workload.error).dicts()},
}


@each("read", READS)
def test_it_is_read_with_the_replacement_character(spoilt, read):
    for _ in range(2):
        assert read() == {"v": "v", "w": READ, "x": "x"}
        with spoilt.database.atomic():
            assert read() == {"v": "v", "w": READ, "x": "x"}


@pytest.mark.parametrize("write", [
    lambda: update_workload("w", exit_code=7),
    lambda: claim_workload("n"),
    lambda: Workload.update(exit_code=7).where(Workload.id == "w").returning(Workload).execute()[0],
], ids=["update", "claim", "returning"])
def test_what_writes_such_a_row_writes_once_and_returns_it(spoilt, path, write):
    update_workload_status("v", "running")

    workload = write()

    assert (workload.id, workload.error) == ("w", READ)
    assert not spoilt.database.in_transaction()
    assert stored(path) == [("v", "76"), ("w", "61FF62"), ("x", "78")]
    assert get_workload("w").exit_code == workload.exit_code
    assert get_workload("x").status == "pending"


@each("column", ["status", "isolation", "runtime", "node_id", "input_hash", "error"])
def test_any_column_may_hold_it(spoilt, path, column):
    spoil(path, column)

    workload = get_workload("w")

    assert getattr(workload, column) == READ
    assert json.loads(json.dumps(workload.to_dict()))[column] == READ
    assert list_workloads().total == workload_stats().total == 3


def test_log_lines_are_read_with_the_replacement_character(spoilt, path):
    spoil(path, "line", 0, "log_lines", "seq")

    assert [line.line for line in list_log_lines("w")] == [READ, "second"]
    assert [line.line for line in LogLine.select().order_by(LogLine.seq)] == [READ, "second"]


def test_a_query_that_is_half_read_goes_on(path):
    with open_store(path):
        create_workloads({"runtime": "go", "id": f"{number:03}"} for number in range(300))
        spoil(path, "error", "250")
        found = [workload.error for workload in Workload.select().order_by(Workload.id).iterator()]

    assert found == [READ if number == 250 else "" for number in range(300)]


def spoil_id(path, workload_id, bad):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE workloads SET id = CAST(? AS TEXT) WHERE id = ?", (bad, workload_id))


BAD = each("bad", [b"\xff1", b"\x801", b"a\x80", b"\xf0\x9f"])


@BAD
@each("others", [1, 24, 25, 26])
def test_a_walk_over_an_id_that_is_not_utf_8_comes_to_its_end(file_store, path, others, bad):
    create_workloads({"runtime": "go", "id": f"{key:02}", "created_at": NOON} for key in range(others + 1))
    make_workload(id="old", created_at=NOON.replace(year=2020), status="failed")
    spoil_id(path, f"{others:02}", bad)

    found = [workload.id for workload in iter_workloads()]

    assert found == [bad.decode(errors="replace"), *(f"{key:02}" for key in reversed(range(others))), "old"]


@BAD
def test_a_purge_may_pass_over_an_id_that_is_not_utf_8_but_ends(file_store, path, bad):
    create_workloads({"runtime": "go", "id": key, "status": "failed", "created_at": NOON} for key in "0bz")
    spoil_id(path, "b", bad)

    assert purge_workloads(LATER) >= 2
    assert {workload.id for workload in iter_workloads()} <= {bad.decode(errors="replace")}
