"""A transaction of the user's own takes the writes of this package in, and takes them back."""

import pytest

from vulcan_store import (
    WorkloadExistsError,
    WorkloadNotFoundError,
    create_workload,
    list_workloads,
    update_workload_status,
)
from vulcan_store.testing import make_workload


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
