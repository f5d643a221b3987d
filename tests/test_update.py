"""Updating a workload: the lifecycle, the times that belong to it, and what stays as it was."""

import pytest
from cases import each
from workloads import NOON

from vulcan_store import (
    InvalidWorkloadError,
    get_workload,
    update_workload,
    update_workload_status,
)
from vulcan_store.testing import make_workload


@each("name, value", [
    ("id", "other"), ("isolation", "gvisor"), ("runtime", "go"), ("input_hash", "h"), ("cpu_limit", 1),
    ("mem_limit", 1), ("timeout_s", 1), ("created_at", NOON), ("colour", "red"),
])
def test_what_is_fixed_once_created_is_refused(store, name, value):
    made = make_workload()

    with pytest.raises(InvalidWorkloadError) as refusal:
        update_workload(made.id, status="running", **{name: value})

    assert (refusal.value.field, refusal.value.value) == (name, value)
    assert get_workload(made.id).__data__ == made.__data__


@each("status", ["paused", None, 1])
def test_a_status_that_is_none_is_refused(store, status):
    made = make_workload()

    with pytest.raises(InvalidWorkloadError) as refusal:
        update_workload_status(made.id, status)

    assert (refusal.value.field, refusal.value.value) == ("status", status)
    assert get_workload(made.id).__data__ == made.__data__
