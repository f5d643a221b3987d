"""Text that is not UTF-8, which the server can store: it reads with the replacement character and stops nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from commandline import vulcan

from vulcan_store import (
    LogLine,
    StoreUnavailableError,
    Workload,
    append_log_lines,
    claim_workload,
    create_workload,
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
from vulcan_store.current import CURRENT
from vulcan_store.models.clock import now
from vulcan_store.operations import reading
from vulcan_store.operations.housekeeping import count_purgeable
from vulcan_store.operations.transfer import export_workloads
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


def exported():
    lines = []
    export_workloads(CURRENT, lines.append)
    return {form["id"]: form["error"] for form in map(json.loads, lines[1:])}


@pytest.fixture
def store(path):
    """A file with a workload ``w`` among others, whose error is not UTF-8."""
    with open_store(path) as store:
        for key in "vwx":
            make_workload(id=key, error=key, status="pending")
        append_log_lines("w", ["first", "second"])
        spoil(path, "error")
        yield store


READS = {
    "get": lambda: {"v": "v", "w": get_workload("w").error, "x": "x"},
    "list": lambda: errors(list_workloads().items),
    "list of a status": lambda: errors(list_workloads(status=["pending", "failed"]).items),
    "stream": lambda: errors(iter_workloads()),
    "export": exported,
    "a query of one's own": lambda: errors(Workload.select()),
    "tuples": lambda: dict(Workload.select(Workload.id, Workload.error).tuples()),
    "dicts": lambda: {row["id"]: row["error"] for row in Workload.select(Workload.id, Workload.error).dicts()},
    "get_by_id": lambda: {**errors(map(Workload.get_by_id, "vwx"))},
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_it_is_read_with_the_replacement_character(store, read):
    assert read() == {"v": "v", "w": READ, "x": "x"}
    assert read() == {"v": "v", "w": READ, "x": "x"}


@pytest.mark.parametrize("write", [
    lambda: update_workload_status("w", "running"),
    lambda: update_workload("w", exit_code=7),
    lambda: claim_workload("n"),
    lambda: Workload.update(exit_code=7).where(Workload.id == "w").returning(Workload).execute()[0],
], ids=["status", "update", "claim", "returning"])
def test_what_writes_such_a_row_writes_once_and_returns_it(store, path, write):
    update_workload_status("v", "running")

    workload = write()

    assert (workload.id, workload.error) == ("w", READ)
    assert not store.database.in_transaction()
    assert stored(path) == [("v", "76"), ("w", "61FF62"), ("x", "78")]
    assert get_workload("w").exit_code == workload.exit_code
    assert get_workload("x").status == "pending"


def test_a_claim_that_meets_it_takes_no_second_workload(store):
    claims = [claim_workload("n").id for _ in "vwx"]

    assert claims == ["v", "w", "x"]
    assert claim_workload("n") is None


def test_several_returned_rows_come_all_and_in_order(store):
    query = Workload.update(exit_code=1).returning(Workload.id, Workload.error)

    assert sorted((row.id, row.error) for row in query.execute()) == [("v", "v"), ("w", READ), ("x", "x")]


@pytest.mark.parametrize("within", ["atomic", "snapshot"])
def test_within_a_transaction_it_stops_nothing_either(store, path, within):
    if within == "atomic":
        with store.database.atomic():
            update_workload("w", exit_code=1)
            assert get_workload("w").error == READ
            create_workload(runtime="go", id="y")
        assert [key for key, _ in stored(path)] == ["v", "w", "x", "y"]
    else:
        assert store.database.snapshot(lambda: get_workload("w").error) == READ


@pytest.mark.parametrize("column", ["status", "isolation", "runtime", "node_id", "input_hash", "error"])
def test_any_column_may_hold_it(store, path, column):
    spoil(path, column)

    workload = get_workload("w")

    assert getattr(workload, column) == READ
    assert json.loads(json.dumps(workload.to_dict()))[column] == READ
    assert list_workloads().total == workload_stats().total == 3


def test_a_time_that_is_not_utf_8_reads_as_text(store, path):
    spoil(path, "created_at")

    assert get_workload("w").created_at == READ
    assert {workload.id for workload in iter_workloads()} == {"v", "w", "x"}


def test_log_lines_are_read_with_the_replacement_character(store, path, capsys):
    spoil(path, "line", 0, "log_lines", "seq")

    shown = vulcan("--db", path, "logs", "w")

    assert [line.line for line in list_log_lines("w")] == [READ, "second"]
    assert [line.line for line in LogLine.select().order_by(LogLine.seq)] == [READ, "second"]
    assert (shown.stdout, shown.stderr) == (f"{READ}\nsecond\n", "")


def test_a_query_that_is_half_read_goes_on(path):
    with open_store(path):
        create_workloads({"runtime": "go", "id": f"{number:03}"} for number in range(300))
        spoil(path, "error", "250")
        found = [workload.error for workload in Workload.select().order_by(Workload.id).iterator()]

    assert found == [READ if number == 250 else "" for number in range(300)]


@pytest.mark.parametrize("at_once", [1, 2, 250])
@pytest.mark.parametrize("bad", [b"\xff1", b"\x801", b"a\x80", b"\xf0\x9f"], ids=repr)
def test_a_walk_over_an_id_that_is_not_utf_8_comes_to_its_end(path, monkeypatch, at_once, bad):
    monkeypatch.setattr(reading, "RESULTS_PER_BATCH", at_once)
    moment = now()
    with open_store(path):
        create_workloads({"runtime": "go", "id": key, "created_at": moment} for key in ("0", "1"))
        make_workload(id="old", created_at=moment.replace(year=2020), status="failed")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE workloads SET id = CAST(? AS TEXT) WHERE id = '1'", (bad,))

        assert [workload.id for workload in iter_workloads()] == [bad.decode(errors="replace"), "0", "old"]


@pytest.mark.parametrize("bad", [b"\xff1", b"\x801", b"a\x80"], ids=repr)
def test_a_purge_passes_over_an_id_that_is_not_utf_8(path, bad):
    moment = now()
    with open_store(path) as store:
        create_workloads({"runtime": "go", "id": key, "status": "failed", "finished_at": moment} for key in "0bz")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE workloads SET id = CAST(? AS TEXT) WHERE id = 'b'", (bad,))

        assert count_purgeable(store, now()) >= 3
        assert purge_workloads(now()) == 2
        assert list_workloads().total == 1


def test_text_that_is_valid_is_decoded_by_sqlite3_itself(path):
    with open_store(path) as store:
        make_workload(id="w", error="größer")
        get_workload("w")
        update_workload("w", exit_code=1)

        with store.database.atomic():
            assert store.database.connection().text_factory is str


@pytest.mark.parametrize("run", ["read", "write"])
def test_another_error_is_still_that_error(store, run):
    with pytest.raises(StoreUnavailableError, match="no such table"):
        getattr(store.database, run)("DELETE FROM missing")
