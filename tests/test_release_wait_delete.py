"""Putting back what runs, waiting for what is not there yet, and deleting one workload."""

import sqlite3
import threading

import pytest
from cases import each
from guarantees.processes import PATIENCE

from vulcan_store import (
    WaitTimeoutError,
    WorkloadNotFoundError,
    append_log_lines,
    claim_workload,
    create_workload,
    delete_workload,
    get_workload,
    list_log_lines,
    list_workloads,
    open_store,
    release_workloads,
    update_workload_status,
    wait_workload,
)
from vulcan_store.testing import make_workload


def pending():
    return {workload.id for workload in list_workloads(1000, status="pending").items}


def test_more_than_one_batch_is_released(store):
    store.create_workloads({"runtime": "go", "status": "running", "node_id": "n"} for _ in range(250))

    assert release_workloads(node_id="n") == 250
    assert len(pending()) == 250


@each("which, error", [
    ({}, TypeError), ({"node_id": 5}, ValueError),
])
def test_a_release_of_nothing_nameable_is_refused(store, which, error):
    make_workload(status="running")

    with pytest.raises(error):
        release_workloads(**which)

    assert pending() == set()


def test_a_wait_returns_the_workload_once_it_is_final(store):
    make_workload(id="w", output=b"42")
    results = []
    waiting = threading.Thread(target=lambda: results.append(wait_workload("w", timeout=PATIENCE)))
    waiting.start()

    done = update_workload_status("w", "completed")
    waiting.join(PATIENCE)

    assert results[0].__data__ == wait_workload("w").__data__ == done.__data__
    assert done.output == b"42"


def test_a_wait_that_takes_too_long_says_what_the_status_was(store):
    make_workload(id="w", status="running")

    with pytest.raises(WaitTimeoutError) as late:
        wait_workload("w", timeout=0.02)

    assert isinstance(late.value, TimeoutError)
    assert (late.value.workload_id, late.value.status, late.value.timeout) == ("w", "running", 0.02)


def test_a_wait_for_what_is_deleted_meanwhile_ends(store):
    make_workload(id="w")
    raised = []

    def wait():
        try:
            wait_workload("w", timeout=PATIENCE)
        except WorkloadNotFoundError as error:
            raised.append(error.workload_id)

    waiting = threading.Thread(target=wait)
    waiting.start()
    delete_workload("w")
    waiting.join(PATIENCE)

    assert raised == ["w"]


def test_within_a_transaction_of_ones_own_a_wait_looks_once(store):
    make_workload(id="w", status="running")

    with store.database.atomic():
        with pytest.raises(WaitTimeoutError):
            wait_workload("w")
        assert claim_workload("n", wait=PATIENCE) is None


@each("wrong", [-1, "1", True, float("nan"), None.__class__])
def test_what_is_no_number_of_seconds_is_refused(store, wrong):
    make_workload(id="w")

    with pytest.raises(ValueError):
        wait_workload("w", timeout=wrong)
    with pytest.raises(ValueError):
        claim_workload("n", wait=wrong)
    assert get_workload("w").status == "pending"


def test_a_claim_waits_until_there_is_something_to_claim(store):
    claimed = []
    claiming = threading.Thread(target=lambda: claimed.append(claim_workload("n", wait=PATIENCE, runtime="oci")))
    claiming.start()

    create_workload(runtime="go")
    made = create_workload(runtime="oci")
    claiming.join(PATIENCE)

    assert (claimed[0].id, claimed[0].node_id) == (made.id, "n")
    assert claimed[0].started_at >= made.created_at


def test_a_claim_that_finds_nothing_waits_for_no_writer(path):
    with open_store(path, pragmas={"busy_timeout": 100}):
        with sqlite3.connect(path, isolation_level=None) as writer:
            writer.execute("BEGIN IMMEDIATE")

            assert claim_workload("n") is None
            assert claim_workload("n", wait=0.02) is None

            writer.execute("ROLLBACK")
        writer.close()


def test_line_breaks_at_the_ends_of_appended_lines_are_not_part_of_them(store):
    make_workload(id="w")

    append_log_lines("w", ["one\n", "two\r\n", "three\n\n", "four", "\n", "five\r"])

    assert [line.line for line in list_log_lines("w")] == ["one", "two", "three\n", "four", "", "five\r"]
