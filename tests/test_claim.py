"""Claiming: the oldest pending workload that matches goes to one caller, however many ask at once."""

from datetime import timedelta

import pytest
from cases import each
from guarantees.processes import PATIENCE, in_processes, in_threads
from workloads import NOON

from vulcan_store import (
    InvalidWorkloadError,
    claim_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_workloads,
    open_store,
)
from vulcan_store.testing import make_workload

MANY = 400


def claim_all(node_id, **filters):
    """The ids of what is handed out until there is no more."""
    return [workload.id for workload in iter(lambda: claim_workload(node_id, **filters), None)]


def claim_in_a_process(barrier, place, target):
    with open_store(target):
        barrier.wait(PATIENCE)
        return claim_all(f"node {place}")


def claim_in_a_thread(barrier, place):
    barrier.wait(PATIENCE)
    return claim_all(f"node {place}")


def assert_that_all_went_to_one_each(handed_out):
    stored = {workload.id: workload for workload in iter_workloads()}
    assert sorted(key for ids in handed_out for key in ids) == sorted(stored)
    for place, ids in enumerate(handed_out):
        assert {(stored[key].status, stored[key].node_id) for key in ids} <= {("running", f"node {place}")}


@each("filters, expected", [
    ({"isolation": {"gvisor", "microvm"}}, "bc"), ({"isolation": ("auto", ""), "runtime": "wasm"}, "d"),
    ({"isolation": None, "runtime": None}, "abcd"), ({"runtime": []}, ""),
])
def test_a_filter_takes_any_collection_what_is_empty_and_none(store, filters, expected):
    kinds = [("go", "auto"), ("wasm", "gvisor"), ("node", "microvm"), ("wasm", "")]
    for place, (runtime, isolation) in enumerate(kinds):
        make_workload(
            id="abcd"[place], runtime=runtime, isolation=isolation, created_at=NOON + timedelta(seconds=place)
        )

    assert "".join(claim_all("n", **filters)) == expected


@each("name", ["status", "limit"])
def test_an_unknown_filter_is_refused(store, name):
    made = make_workload()

    with pytest.raises(TypeError):
        claim_workload("n", **{name: None})

    assert get_workload(made.id).__data__ == made.__data__


@each("filters", [
    {"runtime": ["go", "ruby"]}, {"isolation": "docker"}, {"runtime": 5}, {"isolation": [None]},
])
def test_a_filter_that_nothing_can_match_is_refused(store, filters):
    made = make_workload()

    with pytest.raises(InvalidWorkloadError) as refusal:
        claim_workload("n", **filters)

    assert refusal.value.field == next(iter(filters))
    assert get_workload(made.id).__data__ == made.__data__


@each("node_id", [None, 5, b"n", "a\ud800"])
def test_a_node_that_is_no_text_is_refused(store, node_id):
    made = make_workload()

    with pytest.raises(InvalidWorkloadError) as refusal:
        claim_workload(node_id)

    assert (refusal.value.field, refusal.value.value) == ("node_id", node_id)
    assert get_workload(made.id).__data__ == made.__data__


@pytest.mark.parametrize("shared_store", ["file", "postgres"], indirect=True)
def test_six_processes_get_every_workload_once(store, target):
    create_workloads({"runtime": "go", "created_at": NOON + timedelta(seconds=place // 9)} for place in range(MANY))

    handed_out = in_processes(6, claim_in_a_process, target)

    assert_that_all_went_to_one_each(handed_out)
    assert list_workloads(0).total == MANY


def test_eight_threads_get_every_workload_once(store):
    create_workloads({"runtime": "go", "created_at": NOON} for _ in range(100))

    handed_out = in_threads(8, claim_in_a_thread)

    assert_that_all_went_to_one_each(handed_out)
