"""Creating a workload: what is stored, what is filled in, and what a taken id means."""

from datetime import datetime, tzinfo

import pytest
from cases import each

from vulcan_store import (
    InvalidWorkloadError,
    Workload,
    WorkloadExistsError,
    create_workload,
    get_workload,
    list_workloads,
)
from vulcan_store.testing import make_workload


def test_the_workload_that_was_given_is_the_one_returned(store):
    given = Workload(runtime="go")

    created = create_workload(given)

    assert created is given
    assert given.id == list_workloads().items[0].id


def test_any_bytes_like_output_is_stored_as_bytes(store):
    created = create_workload(runtime="go", output=memoryview(b"b.a.\x00"[::-1])[::2])

    assert get_workload(created.id).output == created.output == b"\x00ab"
    assert type(created.output) is bytes


def test_a_workload_that_is_stored_is_not_created_again(store):
    first = make_workload(id="taken", output=b"first")

    with pytest.raises(WorkloadExistsError) as refusal:
        create_workload(get_workload("taken"))

    assert refusal.value.workload_id == "taken"
    assert "'taken'" in str(refusal.value)
    assert get_workload("taken").__data__ == first.__data__
    assert list_workloads().total == 1


def test_a_refused_workload_can_be_stored_under_another_id(store):
    make_workload(id="taken")
    workload = Workload(id="taken", runtime="go")
    with pytest.raises(WorkloadExistsError):
        create_workload(workload)

    workload.id = "free"
    create_workload(workload)

    assert get_workload("free").runtime == "go"


def test_a_workload_and_fields_together_are_refused(store):
    with pytest.raises(TypeError):
        create_workload(Workload(runtime="go"), node_id="n")

    assert list_workloads().total == 0


@each("given", ["x", {"runtime": "go"}, 5])
def test_what_is_no_workload_is_refused(store, given):
    with pytest.raises(TypeError) as refusal:
        create_workload(given)

    assert "orkload" in str(refusal.value)
    assert list_workloads().total == 0


def test_a_subclass_of_a_text_is_stored_as_plain_text(store):
    class Text(str):
        pass

    made = create_workload(runtime="go", id=Text("a"), error=Text("e"))

    assert {type(made.id), type(made.error)} == {str}


def released():
    view = memoryview(b"x")
    view.release()
    return view


class Nowhere(tzinfo):
    def utcoffset(self, moment):
        return None


@each("name, value", [
    ("output", released()), ("created_at", datetime(2026, 2, 18, tzinfo=Nowhere())),
])
def test_what_only_looks_right_is_refused(store, name, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload(runtime="go", **{name: value})

    assert refusal.value.field == name
