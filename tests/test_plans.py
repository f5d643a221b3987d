"""How SQLite answers the store's queries: by an index, in the order of that index."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
import server_file
from cases import each
from workloads import NOON

from vulcan_store import (
    LogLine,
    append_log_lines,
    claim_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_log_lines,
    list_workloads,
    open_store,
    purge_workloads,
    release_workloads,
    update_workload,
    update_workload_status,
    workload_stats,
)
from vulcan_store.current import CURRENT
from vulcan_store.lifecycle import FINAL, Runtime, Status
from vulcan_store.operations.housekeeping import count_purgeable
from vulcan_store.operations.logs import follow_log

BOTH = {"created_since": NOON, "created_before": NOON + timedelta(days=1)}

QUERIES = {
    "get": lambda: get_workload("w0"),
    "status": lambda: update_workload_status("w0", "running"),
    "update": lambda: update_workload("w0", output=b"x"),
    "page": lambda: list_workloads(),
    "page without output": lambda: list_workloads(with_output=False),
    "far page": lambda: list_workloads(5, 90),
    "page of a status": lambda: list_workloads(status="pending"),
    "page of two statuses": lambda: list_workloads(status=["pending", "running"]),
    "page of every status": lambda: list_workloads(status=list(Status)),
    "page of a span": lambda: list_workloads(**BOTH),
    "page of a status in a span": lambda: list_workloads(status="completed", **BOTH),
    "page of an input": lambda: list_workloads(input_hash="h3"),
    "page of inputs": lambda: list_workloads(input_hash=["h3", "h4", "h5"]),
    "walk of inputs": lambda: list(iter_workloads(input_hash=["h3", "h4"])),
    "walk": lambda: list(iter_workloads()),
    "walk of a status": lambda: list(iter_workloads(status="pending")),
    "walk of several statuses": lambda: list(iter_workloads(status=FINAL)),
    "walk of a span": lambda: list(iter_workloads(**BOTH)),
    "claim": lambda: claim_workload("n"),
    "claim of runtimes": lambda: claim_workload("n", runtime=["go", "wasm", "oci"]),
    "claim of both": lambda: claim_workload("n", isolation=["auto", "gvisor"], runtime="go"),
    "purge": lambda: purge_workloads(NOON + timedelta(minutes=90)),
    "count of what a purge would delete": lambda: count_purgeable(CURRENT, NOON + timedelta(minutes=90)),
    "release of a node": lambda: release_workloads(node_id="n1"),
    "release of what started before": lambda: release_workloads(started_before=NOON + timedelta(minutes=90)),
    "append": lambda: append_log_lines("w0", ["line"]),
    "log": lambda: list_log_lines("w0"),
    "rest of a log": lambda: list_log_lines("w0", after=1, limit=2),
    "log after a line": lambda: list_log_lines("w0", after=LogLine(id=2, seq=1), limit=2),
    "log that is followed": lambda: follow("w0"),
}
NARROWED = {
    "page of a node": lambda: list_workloads(5, node_id="n1"),
    "page of two runtimes": lambda: list_workloads(5, 10, runtime=["go", "wasm"]),
    "page of an isolation in a span": lambda: list_workloads(page=2, limit=5, isolation="auto", **BOTH),
    "walk of a runtime": lambda: list(iter_workloads(runtime=["go", "wasm"])),
    "walk of an input and none": lambda: list(iter_workloads(input_hash=["", "h3"])),
    "walk of a node": lambda: list(iter_workloads(node_id=["n1", "n2"], isolation="auto")),
    "walk of statuses and a runtime": lambda: list(iter_workloads(status=["pending", "failed"], runtime="go")),
}
CLAIMS = [name for name in QUERIES if name.startswith("claim")]
WALKS = {"page", "page without output", "far page", "walk", *CLAIMS, *NARROWED}
"""Those that may walk along an index."""


def follow(workload_id):
    tail = follow_log(CURRENT, workload_id)
    assert None in tail
    append_log_lines(workload_id, ["new"])
    assert [line.line for line in iter(tail.__next__, None)] == ["new"]


def fill(count=150):
    create_workloads(
        {
            "id": f"w{place}",
            "status": list(Status)[place % 5],
            "runtime": list(Runtime)[place % 4],
            "input_hash": f"h{place}",
            "created_at": NOON + timedelta(minutes=place),
            "node_id": f"n{place % 3}",
            "started_at": NOON + timedelta(minutes=place) if place % 5 else None,
            "finished_at": NOON + timedelta(minutes=place) if place % 5 > 1 else None,
        }
        for place in range(count)
    )
    append_log_lines("w0", map(str, range(5)))


def of_our_own(path):
    """A new store."""


def of_the_servers(path):
    server_file.build(path)


def analysed(path):
    """A store that the planner has statistics of."""
    with open_store(path) as store:
        fill(1500)
        append_log_lines("w1", map(str, range(2000)))
        store.database.execute_sql("ANALYZE")
        store.database.execute_sql("DELETE FROM log_lines")
        store.database.execute_sql("DELETE FROM workloads")


@pytest.fixture(scope="module", params=[of_our_own, of_the_servers, analysed], ids=lambda build: build.__name__)
def built(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("built") / "vulcan.db"
    request.param(path)
    with open_store(path):
        fill()
    return path


@pytest.fixture
def filled(built, path):
    shutil.copy(built, path)
    with open_store(path) as store:
        yield store


def statements(store, call):
    """What is sent to SQLite while a function runs, each with its values."""
    sent = []
    store.database.query_hooks.append(sent.append)
    call()
    store.database.query_hooks.remove(sent.append)
    asked = ("SELECT", "UPDATE", "DELETE", "WITH")
    return [(event.sql, event.params) for event in sent if event.sql.startswith(asked)]


def plan(store, sql, values):
    return [row[3] for row in store.database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()]


def assert_that_indexes_serve(statement, steps):
    assert steps, statement
    for step in steps:
        assert "TEMP B-TREE" not in step, (statement, steps)
        assert not step.startswith("SCAN") or " INDEX " in step, (statement, steps)
        assert "AUTOMATIC" not in step, (statement, steps)


@each("name", [*QUERIES, *NARROWED])
def test_every_query_is_served_by_an_index_sorts_nothing_and_about_a_few_does_not_walk_through_all(filled, name):
    sent = statements(filled, {**QUERIES, **NARROWED}[name])

    assert sent
    for statement in sent:
        steps = plan(filled, *statement)
        assert_that_indexes_serve(statement, steps)
        assert name in WALKS or not [step for step in steps if step.startswith("SCAN")]


@each("name", [name for name in QUERIES if "input" in name])
def test_a_lookup_by_hash_is_served_by_the_index_of_hashes(filled, name):
    for statement in statements(filled, QUERIES[name]):
        searches = [step for step in plan(filled, *statement) if step.startswith("SEARCH")]
        assert searches
        assert all("vulcan_store_by_input_hash (input_hash=?" in step for step in searches)


def test_the_index_of_hashes_holds_only_rows_that_have_one(filled):
    create_workloads({"runtime": "go", "input_hash": ""} for _ in range(100))
    filled.database.execute_sql("ANALYZE")

    held = "SELECT CAST(stat AS INTEGER) FROM sqlite_stat1 WHERE idx = 'vulcan_store_by_input_hash'"
    having = "SELECT COUNT(*) FROM workloads WHERE input_hash LIKE 'h%'"
    assert filled.database.execute_sql(held).fetchone() == filled.database.execute_sql(having).fetchone()


@each("name", CLAIMS)
def test_a_claim_looks_only_at_what_can_be_claimed(filled, name):
    look, claim = statements(filled, QUERIES[name])

    for statement in (look, claim):
        (search,) = [step for step in plan(filled, *statement) if " INDEX " in step and "(id=?)" not in step]
        assert "COVERING INDEX vulcan_store_by_status (status=?" in search


@each("count", [
    workload_stats, lambda: list_workloads(0, runtime="go"), lambda: list_workloads(0, isolation=["auto", "gvisor"]),
])
def test_counting_reads_no_rows_and_sorts_nothing(filled, count):
    # What the statistics count by a second statement, isolations that are not known, is sorted where there is any.
    counting = next(statement for statement in statements(filled, count) if "COUNT" in statement[0])

    (step,) = plan(filled, *counting)

    assert "USING COVERING INDEX vulcan_store_" in step


def test_indexes_of_our_own_have_names_of_their_own_on_the_servers_file_too(path, tmp_path):
    server_file.build(path)
    with open_store(path), open_store(tmp_path / "own.db"):
        pass

    listings = []
    for file in (path, tmp_path / "own.db"):
        with closing(sqlite3.connect(file)) as connection:
            query = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"
            listings.append(connection.execute(query).fetchall())
    assert sorted(listings[0]) == sorted(listings[1])
    assert all(name.startswith(("vulcan_store_", "idx_log_lines_", "sqlite_autoindex_")) for name, _ in listings[0])
