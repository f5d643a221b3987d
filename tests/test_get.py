"""Getting a workload by its id, and ids that are none."""

import pytest
from cases import each

from vulcan_store import (
    InvalidWorkloadError,
    Workload,
    WorkloadNotFoundError,
    append_log_lines,
    delete_workload,
    get_workload,
    list_log_lines,
    update_workload,
    wait_workload,
)
from vulcan_store.testing import make_workload

BY_ID = [
    get_workload, delete_workload, wait_workload, list_log_lines, lambda key: append_log_lines(key, []),
    lambda key: update_workload(key, exit_code=1),
]


@each("workload_id", ["nobody", "", "a\0b", "\ud800", "x" * 100_000, "%"])
@each("call", BY_ID)
def test_an_unknown_id_is_not_found(store, workload_id, call):
    made = make_workload(id="a")

    with pytest.raises(WorkloadNotFoundError) as refusal:
        call(workload_id)

    assert refusal.value.workload_id == workload_id
    assert get_workload("a").__data__ == made.__data__


@each("workload_id", [None, 5, b"a", True])
@each("call", BY_ID)
def test_an_id_that_is_no_text_is_refused(store, workload_id, call):
    make_workload(id="5")

    with pytest.raises(InvalidWorkloadError) as refusal:
        call(workload_id)

    assert refusal.value.value == workload_id


def test_ids_differ_by_case(store):
    make_workload(id="ABC")

    with pytest.raises(Workload.DoesNotExist):
        get_workload("abc")
    assert get_workload("ABC") is not get_workload("ABC")
