"""A claim is a proof: what a worker that was given up writes late is refused, and what it has finished stays."""

import pickle

import pytest
from cases import each

from vulcan_store import (
    ClaimLostError,
    InvalidTransitionError,
    Workload,
    claim_workload,
    get_workload,
    release_workloads,
    update_workload,
)
from vulcan_store.testing import make_workload


@pytest.fixture
def claimed(store):
    make_workload(id="w")
    return claim_workload("a")


def test_a_claim_that_was_taken_over_is_lost_and_changes_nothing(claimed):
    release_workloads(node_id="a")
    successor = claim_workload("b")

    for fields in ({"status": "completed", "output": b"late"}, {}):
        with pytest.raises(ClaimLostError) as lost:
            update_workload("w", claim=claimed, **fields)

        assert (lost.value.workload_id, lost.value.node_id, lost.value.status) == ("w", "b", "running")
        assert get_workload("w").__data__ == successor.__data__


def test_a_result_of_somebody_else_is_not_taken_for_the_claims_own(claimed):
    release_workloads(node_id="a")
    update_workload("w", claim=claim_workload("b"), status="completed", output=b"x")

    with pytest.raises(ClaimLostError):
        update_workload("w", claim=claimed, status="completed", output=b"x")


@each("claim, fields, error", [
    ("a", {}, TypeError),
    ("own", {"node_id": "b"}, TypeError),
    ("own", {"started_at": None}, TypeError),
    ("other", {}, ValueError),
    ("never started", {}, ValueError),
])
def test_what_is_no_claim_of_the_workload_is_refused_and_nothing_is_written(claimed, claim, fields, error):
    claims = {
        "own": claimed,
        "other": Workload(id="v", runtime="go", started_at=claimed.started_at),
        "never started": Workload(id="w", runtime="go"),
    }

    with pytest.raises(error, match="claim"):
        update_workload("w", claim=claims.get(claim, claim), output=b"x", **fields)

    assert get_workload("w").__data__ == claimed.__data__


def test_a_refusal_to_change_what_is_final_without_a_status_names_none(store):
    make_workload(id="w", status="completed", output=b"result")

    with pytest.raises(InvalidTransitionError) as refusal:
        update_workload("w", output=b"late")

    error = refusal.value
    assert (error.workload_id, error.current, error.requested) == ("w", "completed", None)


def test_save_refuses_a_changed_column_that_is_fixed_and_writes_nothing(store):
    workload = make_workload(id="w")
    workload.runtime, workload.error = "oci", "x"

    with pytest.raises(ValueError) as refusal:
        workload.save()

    assert refusal.value.field == "runtime"
    assert (get_workload("w").runtime, get_workload("w").error) == ("python", "")


@pytest.mark.parametrize("name, value", [("error", "x"), ("status", "running")])
def test_a_lost_claim_is_not_revived_by_saving_its_workload(claimed, name, value):
    release_workloads(node_id="a")
    claim_workload("b")
    setattr(claimed, name, value)
    claimed.save()

    with pytest.raises(ClaimLostError):
        update_workload("w", claim=claimed, status="completed")

    assert get_workload("w").status == "running"


def test_a_claim_holds_in_a_copy_that_was_sent_to_another_process(claimed):
    assert update_workload("w", claim=pickle.loads(pickle.dumps(claimed)), status="completed").node_id == "a"


def test_save_of_a_fixed_column_that_is_as_it_was_stored_changes_nothing(store):
    workload = make_workload(id="w")
    workload.runtime, workload.input_hash = "python", None

    assert workload.save() == 0

    assert get_workload("w").__data__ == store.get_workload("w").__data__


def test_save_of_a_stored_workload_under_another_id_is_refused_and_copies_nothing(store):
    workload = make_workload(id="w")
    loaded = Workload.get_by_id("w")
    workload.id = loaded.id = "v"

    for changed in (workload, loaded):
        with pytest.raises(ValueError) as refusal:
            changed.save()
        assert refusal.value.field == "id"
    assert store.list_workloads().total == 1


def test_a_run_that_began_at_the_same_instant_on_another_node_is_another_run(claimed):
    update_workload("w", node_id="b")

    with pytest.raises(ClaimLostError):
        update_workload("w", claim=claimed, output=b"late")

    assert get_workload("w").output is None
