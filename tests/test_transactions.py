"""A transaction of the user's own takes the writes of this package in, and takes them back."""

from __future__ import annotations

import pytest

from vulcan_store import (
    Workload,
    WorkloadExistsError,
    WorkloadNotFoundError,
    create_workload,
    get_workload,
    list_workloads,
    update_workload,
    update_workload_status,
)
from vulcan_store.testing import make_workload


def test_a_transaction_of_ones_own_takes_our_writes_back(store):
    made = make_workload()

    with pytest.raises(ZeroDivisionError):
        with store.database.atomic():
            create_workload(runtime="go")
            update_workload(made.id, output=b"x")
            update_workload_status(made.id, "completed")
            Workload.create(runtime="go")
            assert list_workloads().total == 3
            1 / 0

    assert get_workload(made.id).__data__ == made.__data__
    assert list_workloads().total == 1


def test_a_transaction_of_ones_own_keeps_our_writes(store):
    with store.database.atomic():
        made = create_workload(runtime="go")
        update_workload_status(made.id, "running")

    assert get_workload(made.id).status == "running"
    assert not store.database.in_transaction()


def test_an_inner_transaction_is_taken_back_alone(store):
    with store.database.atomic():
        create_workload(id="outer", runtime="go")
        with store.database.atomic() as inner:
            create_workload(id="inner", runtime="go")
            inner.rollback()

    assert [workload.id for workload in list_workloads().items] == ["outer"]


def test_a_refusal_within_a_transaction_does_not_end_it(store):
    make_workload(id="taken")

    with store.database.atomic():
        create_workload(id="first", runtime="go")
        with pytest.raises(WorkloadExistsError):
            create_workload(id="taken", runtime="go")
        with pytest.raises(WorkloadNotFoundError):
            update_workload_status("nobody", "killed")
        create_workload(id="second", runtime="go")

    assert {workload.id for workload in list_workloads().items} == {"taken", "first", "second"}
