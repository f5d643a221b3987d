"""Errors: what they are, the facts that they carry, what they say, and that they survive pickle."""

import copy
import pickle

import peewee
import pytest
from cases import each

from vulcan_store import (
    ClaimLostError,
    InvalidTransitionError,
    InvalidWorkloadError,
    SchemaMismatchError,
    StoreError,
    StoreUnavailableError,
    WaitTimeoutError,
    Workload,
    WorkloadExistsError,
    WorkloadNotFoundError,
    create_workload,
)

EVERY_ERROR = [
    (StoreUnavailableError("a.db", "it is locked"), {"target": "a.db", "reason": "it is locked"}),
    (StoreUnavailableError(None, "call open_store()"), {"target": None, "reason": "call open_store()"}),
    (SchemaMismatchError("a.db", "workloads", ("status", "error")),
     {"target": "a.db", "table": "workloads", "missing": ("status", "error")}),
    (InvalidWorkloadError("exit_code", True, "an int"),
     {"field": "exit_code", "value": True, "expected": "an int", "position": None}),
    (InvalidWorkloadError("runtime", "ruby", "go", 7), {"field": "runtime", "value": "ruby", "position": 7}),
    (WorkloadExistsError("x"), {"workload_id": "x", "position": None}),
    (WorkloadExistsError("x", 3), {"workload_id": "x", "position": 3}),
    (WorkloadNotFoundError("x"), {"workload_id": "x"}),
    (InvalidTransitionError("x", "killed", "running"),
     {"workload_id": "x", "current": "killed", "requested": "running"}),
    (ClaimLostError("x", "n", "pending"), {"workload_id": "x", "node_id": "n", "status": "pending"}),
    (WaitTimeoutError("x", "running", 1.5), {"workload_id": "x", "status": "running", "timeout": 1.5}),
]
every_error = each("error, facts", EVERY_ERROR)


@every_error
def test_an_error_carries_its_facts_says_them_and_survives_pickle_and_a_copy(error, facts):
    copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]

    for same in (error, copy.copy(error), *copies):
        assert type(same) is type(error) and isinstance(same, StoreError)
        assert {name: getattr(same, name) for name in facts} == facts
        assert str(same) == str(error)
    for fact in facts.values():
        for part in fact if isinstance(fact, tuple) else [fact]:
            assert part is None or str(part) in str(error)
    assert "None" not in str(error)


@each("error, base", [
    (StoreUnavailableError, peewee.OperationalError),
    (InvalidWorkloadError, ValueError),
    (WorkloadExistsError, peewee.IntegrityError),
    (WorkloadNotFoundError, Workload.DoesNotExist),
    (WaitTimeoutError, TimeoutError),
])
def test_an_error_is_also_what_it_would_be_elsewhere(error, base):
    assert issubclass(error, base)


def test_the_error_of_a_missing_field_survives_pickle(store):
    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload()

    again = pickle.loads(pickle.dumps(refusal.value))

    assert str(again) == str(refusal.value)
    assert "runtime is missing" in str(again)
