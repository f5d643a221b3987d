"""Walking through all that match: in order, exactly once, holding neither a transaction nor much memory."""

import sqlite3
import tracemalloc
from contextlib import closing
from datetime import timedelta

import pytest
from cases import each
from workloads import NOON

from vulcan_store import (
    InvalidWorkloadError,
    Workload,
    create_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    update_workload_status,
)
from vulcan_store.lifecycle import Status

RUNTIMES = ["go", "python", "wasm"]


def fill(count, **fields):
    """Workloads of which three at a time share their time of creation, in no order of their ids."""
    create_workloads(
        {
            "id": f"{place * 7919 % count:05}",
            "status": list(Status)[place % 5],
            "runtime": RUNTIMES[place % 3],
            "created_at": NOON + timedelta(seconds=place // 3),
            **fields,
        }
        for place in range(count)
    )


def keys(workloads):
    return [workload.id for workload in workloads]


@each("count", [1, 19, 20, 21, 59, 60, 61])
def test_the_end_of_a_page_is_no_end(store, count):
    fill(count)

    assert len(set(keys(iter_workloads()))) == count


def test_output_is_left_in_the_store_when_it_is_not_wanted(store):
    fill(100, output=b"large", exit_code=3)

    walked = list(iter_workloads(with_output=False))

    assert {(w.output, w.exit_code) for w in walked} == {(None, 3)}
    assert get_workload(walked[0].id).output == b"large"


def test_what_exists_throughout_comes_exactly_once_whatever_is_written_meanwhile(store):
    fill(150)
    staying = {f"{place:05}" for place in range(150) if place % 3}
    walked = []

    for step, workload in enumerate(iter_workloads()):
        walked.append(workload.id)
        if step < 50:
            Workload.delete_by_id(f"{3 * (49 - step):05}")
            create_workload(id=f"new {step}", runtime="go", created_at=NOON + timedelta(seconds=step - 10))
            Workload.update(status="failed", node_id="n").where(Workload.id == f"{3 * step + 1:05}").execute()

    assert staying <= set(walked)
    assert len(walked) == len(set(walked))


def test_what_goes_from_one_wanted_status_to_another_comes_exactly_once(store):
    fill(150, status="pending")
    turned = {"pending": "running", "running": "pending"}
    walked = []

    for step, workload in enumerate(iter_workloads(status=["pending", "running"])):
        walked.append(workload.id)
        other = get_workload(f"{step * 37 % 150:05}")
        update_workload_status(other.id, turned[other.status])

    assert sorted(walked) == [f"{place:05}" for place in range(150)]


def test_between_rows_no_transaction_is_held(store):
    fill(50)
    rows = iter_workloads()
    next(rows)

    assert not store.database.in_transaction()
    with store.database.atomic():
        create_workload(id="meanwhile", runtime="go", created_at=NOON)
    assert len({*keys(rows)} - {"meanwhile"}) == 49


@each("taken", [1, 20, 21, 70])
def test_in_the_middle_of_a_walk_another_connection_writes_and_the_wal_is_emptied(file_store, path, taken):
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        fill(200)
        rows = iter_workloads(status=["pending", "running", "failed"])
        first = [next(rows) for _ in range(taken)]

        other.execute("UPDATE workloads SET exit_code = 1")
        checkpoint = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

        assert checkpoint == (0, 0, 0)
        assert len(set(keys(first + list(rows)))) == 120


@each("small", [0, 500])
def test_large_outputs_are_not_held_in_great_numbers(store, small):
    large = 70
    create_workloads(
        {"runtime": "go", "output": bytes(250_000), "created_at": NOON} for _ in range(large)
    )
    create_workloads({"runtime": "go", "created_at": NOON + timedelta(1)} for _ in range(small))
    tracemalloc.start()
    try:
        count = sum(1 for _ in iter_workloads())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert count == small + large
    assert peak < 15_000_000


@each("filters, error", [
    ({"limit": 5}, TypeError), ({"status": ["pending", "paused"]}, InvalidWorkloadError),
])
def test_a_filter_that_is_none_is_refused_at_the_call(store, filters, error):
    with pytest.raises(error):
        iter_workloads(**filters)
