"""Errors: what they are, the facts that they carry, what they say, and that they survive pickle."""

from __future__ import annotations

import copy
import pickle
import threading

import peewee
import pytest

from vulcan_store import (
    InvalidTransitionError,
    InvalidWorkloadError,
    SchemaMismatchError,
    StoreError,
    StoreUnavailableError,
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
]
every_error = pytest.mark.parametrize("error, facts", EVERY_ERROR, ids=[repr(error) for error, _ in EVERY_ERROR])


@every_error
def test_an_error_carries_its_facts(error, facts):
    assert {name: getattr(error, name) for name in facts} == facts


@every_error
def test_an_error_says_its_facts(error, facts):
    text = str(error)

    for fact in facts.values():
        for part in fact if isinstance(fact, tuple) else [fact]:
            assert part is None or str(part) in text
    assert "None" not in text


@every_error
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickle(error, facts, protocol):
    again = pickle.loads(pickle.dumps(error, protocol))

    assert type(again) is type(error)
    assert {name: getattr(again, name) for name in facts} == facts
    assert str(again) == str(error)


@every_error
def test_an_error_survives_a_copy(error, facts):
    assert str(copy.copy(error)) == str(error)


@every_error
def test_every_error_is_caught_as_store_error(error, facts):
    with pytest.raises(StoreError):
        raise error


@pytest.mark.parametrize("error, base", [
    (StoreUnavailableError, peewee.OperationalError),
    (InvalidWorkloadError, ValueError),
    (WorkloadExistsError, peewee.IntegrityError),
    (WorkloadNotFoundError, Workload.DoesNotExist),
    (WorkloadNotFoundError, peewee.DoesNotExist),
])
def test_an_error_is_also_what_it_would_be_elsewhere(error, base):
    assert issubclass(error, base)


@pytest.mark.parametrize("error", [SchemaMismatchError, InvalidTransitionError])
def test_the_others_are_store_errors_alone(error):
    assert error.__bases__ == (StoreError,)


def test_a_long_value_is_shown_short():
    error = InvalidWorkloadError("node_id", b"x" * 1_000_000, "a str")

    assert len(str(error)) < 200
    assert error.value == b"x" * 1_000_000


class _Unshowable:
    def __repr__(self):
        raise RuntimeError("no words")


def test_a_value_that_cannot_be_shown_is_no_obstacle(store):
    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload(runtime="go", node_id=_Unshowable())

    assert "node_id" in str(refusal.value)


@pytest.mark.parametrize("value", [threading.Lock(), lambda: None, (number for number in ())], ids=["lock", "f", "g"])
def test_an_error_survives_pickle_whatever_the_value(store, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload(runtime="go", node_id=value)

    again = pickle.loads(pickle.dumps(refusal.value))

    assert again.field == "node_id"
    assert str(again) == str(refusal.value)


def test_the_error_of_a_missing_field_survives_pickle(store):
    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload()

    again = pickle.loads(pickle.dumps(refusal.value))

    assert str(again) == str(refusal.value)
    assert "runtime is missing" in str(again)
