"""Creating many at once: all or none, whatever they come from, and an error says which one it was."""

import sqlite3
import tracemalloc

import peewee
import pytest
from cases import each
from workloads import ids

from vulcan_store import (
    InvalidWorkloadError,
    Workload,
    WorkloadExistsError,
    create_workload,
    create_workloads,
    get_workload,
    iter_workloads,
    list_workloads,
)
from vulcan_store.testing import make_workload


class OutOfInput(Exception):
    pass


def refusing(offender, position, *, after=3):
    """As many good elements as the position says, the offender, and some that nobody should come to need."""
    yield from ({"id": f"w{place}", "runtime": "go"} for place in range(position))
    yield offender
    yield from ({"runtime": "go"} for _ in range(after))


def test_a_generator_of_mappings_is_stored_in_full(store):
    count = create_workloads({"id": f"w{place:04}", "runtime": "go", "exit_code": place} for place in range(1500))

    assert count == 1500
    assert [(w.id, w.exit_code) for w in sorted(iter_workloads(), key=lambda w: w.id)] == [
        (f"w{place:04}", place) for place in range(1500)
    ]


def test_nothing_given_stores_nothing(store):
    assert create_workloads([]) == 0
    assert create_workloads(iter(())) == 0
    assert list_workloads().total == 0


def test_the_given_objects_stay_as_they_are(store):
    workload, mapping = Workload(runtime="go"), {"runtime": "go"}
    data, unsaved = dict(workload.__data__), list(workload.dirty_fields)

    create_workloads([workload, mapping])

    assert (workload.__data__, workload.dirty_fields, mapping) == (data, unsaved, {"runtime": "go"})


@each("position", [0, 150])
@each("offender, field", [
    ({"id": "bad"}, "runtime"), ({"runtime": "go", "colour": "red"}, "colour"), ({"runtime": "ruby"}, "runtime"),
    (Workload(runtime="go", output="text"), "output"), (None, "workload"), ("go", "workload"),
])
def test_an_invalid_element_is_named_by_its_position_and_nothing_is_stored(store, offender, field, position):
    made = make_workload()

    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workloads(refusing(offender, position))

    assert (refusal.value.field, refusal.value.position) == (field, position)
    assert f"element {position}" in str(refusal.value)
    assert ids() == [made.id]


@each("position, after", [(0, 150), (150, 0)])
def test_a_taken_id_is_named_by_its_position_and_nothing_is_stored(store, position, after):
    made = make_workload(id="taken", output=b"first")

    with pytest.raises(WorkloadExistsError) as refusal:
        create_workloads(refusing({"id": "taken", "runtime": "go"}, position, after=after))

    assert (refusal.value.workload_id, refusal.value.position) == ("taken", position)
    assert f"element {position}" in str(refusal.value)
    assert ids() == ["taken"]
    assert get_workload("taken").__data__ == made.__data__


@each("position", [1, 150])
def test_an_id_that_comes_twice_is_named_by_its_second_position(store, position):
    with pytest.raises(WorkloadExistsError) as refusal:
        create_workloads(refusing({"id": "w0", "runtime": "go"}, position))

    assert (refusal.value.workload_id, refusal.value.position) == ("w0", position)
    assert ids() == []


@each("error", [
    OutOfInput("line 17"), KeyboardInterrupt(), WorkloadExistsError("elsewhere"),
    sqlite3.OperationalError("elsewhere"), peewee.OperationalError("elsewhere"),
])
@each("position", [0, 150])
def test_an_error_of_the_iterables_own_passes_through_and_nothing_is_stored(store, error, position):
    cause = KeyError("cause")

    def interrupted():
        yield from ({"runtime": "go"} for _ in range(position))
        raise error from cause

    with pytest.raises(type(error)) as raised:
        create_workloads(interrupted())

    assert raised.value is error
    assert raised.value.__cause__ is cause
    assert ids() == []
    assert create_workloads([{"runtime": "go"}]) == 1


def test_what_cannot_be_iterated_over_is_a_type_error(store):
    with pytest.raises(TypeError):
        create_workloads(5)

    assert ids() == []


def test_the_iterable_may_read_the_store(store):
    create_workloads({"id": f"a{place}", "runtime": "go"} for place in range(50))

    create_workloads({"id": w.id.replace("a", "b"), "runtime": w.runtime} for w in iter_workloads())

    assert ids() == sorted(f"{letter}{place}" for letter in "ab" for place in range(50))


def test_a_refusal_within_a_transaction_takes_back_its_own_elements_alone(store):
    with store.database.atomic():
        create_workload(id="before", runtime="go")
        with pytest.raises(WorkloadExistsError):
            create_workloads(refusing({"id": "before", "runtime": "go"}, 5))
        with pytest.raises(InvalidWorkloadError):
            create_workloads(refusing({"runtime": "ruby"}, 5))
        create_workloads([{"id": "after", "runtime": "go"}])

    assert ids() == ["after", "before"]


def test_memory_does_not_grow_with_their_number(store):
    tracemalloc.start()
    try:
        create_workloads({"runtime": "go", "output": bytes(1_000_000)} for _ in range(30))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 15_000_000
    assert list_workloads(0).total == 30
