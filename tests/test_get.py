"""Getting a workload by its id."""

from __future__ import annotations

import pytest
from cases import each

from vulcan_store import InvalidWorkloadError, Workload, WorkloadNotFoundError, get_workload
from vulcan_store.testing import make_workload


def test_each_call_returns_an_object_of_its_own(store):
    workload_id = make_workload().id
    get_workload(workload_id).node_id = "changed in memory only"

    assert get_workload(workload_id).node_id == ""


@each("workload_id", ["nobody", "", "a\0b", "\ud800", "x" * 100_000, "%"])
def test_an_unknown_id_is_not_found(store, workload_id):
    make_workload(id="a")

    with pytest.raises(WorkloadNotFoundError) as refusal:
        get_workload(workload_id)

    assert refusal.value.workload_id == workload_id


def test_not_found_is_caught_as_peewees_own(store):
    with pytest.raises(Workload.DoesNotExist):
        get_workload("nobody")


@each("workload_id", [None, 5, b"a", True])
def test_an_id_that_is_no_text_is_refused(store, workload_id):
    make_workload(id="5")

    with pytest.raises(InvalidWorkloadError) as refusal:
        get_workload(workload_id)

    assert (refusal.value.field, refusal.value.value) == ("id", workload_id)


def test_ids_differ_by_case(store):
    make_workload(id="ABC")

    with pytest.raises(WorkloadNotFoundError):
        get_workload("abc")
