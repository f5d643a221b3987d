"""Creating a workload: what is stored, what is filled in, and what a taken id means."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest

from vulcan_store import (
    InvalidWorkloadError,
    Isolation,
    Runtime,
    Status,
    Workload,
    WorkloadExistsError,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
)
from vulcan_store.testing import make_workload

NOON = datetime(2026, 2, 18, 12, 0, 0, 123456, tzinfo=UTC)
EVERY_FIELD = {
    "id": "01HQ0000000000000000000000",
    "status": Status.COMPLETED,
    "isolation": Isolation.GVISOR,
    "runtime": Runtime.WASM,
    "node_id": "node-7",
    "input_hash": "sha256:0a1b",
    "output": b"\x00\xff result",
    "exit_code": -9,
    "error": "späte Störung \N{SNOWMAN}",
    "cpu_limit": 4,
    "mem_limit": 2**63 - 1,
    "timeout_s": 0,
    "duration_ms": 1500,
    "created_at": NOON,
    "started_at": NOON + timedelta(seconds=1),
    "finished_at": NOON + timedelta(seconds=2, microseconds=1),
}


def test_all_sixteen_fields_come_back_as_they_went_in(store):
    create_workload(**EVERY_FIELD)

    found = get_workload(EVERY_FIELD["id"])

    assert len(EVERY_FIELD) == 16
    assert found.__data__ == EVERY_FIELD


def test_the_workload_that_was_given_is_the_one_returned(store):
    given = Workload(runtime="go")

    created = create_workload(given)

    assert created is given
    assert given.id == list_workloads().items[0].id


def test_what_is_not_given_is_filled_in(store):
    before = datetime.now(UTC)
    created = create_workload(runtime="go")
    after = datetime.now(UTC)

    found = get_workload(created.id)

    assert (found.status, found.isolation, found.runtime, found.node_id) == ("pending", "auto", "go", "")
    assert len(found.id) == 26
    assert before <= found.created_at <= after
    assert (found.input_hash, found.error) == ("", "")
    absent = ("output", "exit_code", "cpu_limit", "mem_limit", "timeout_s", "duration_ms", "started_at", "finished_at")
    assert [getattr(found, name) for name in absent] == [None] * 8


@pytest.mark.parametrize("name", sorted(EVERY_FIELD.keys() - {"runtime", "status"}))
def test_a_field_that_is_given_leaves_the_others_as_they_are_without_it(store, name):
    plain = get_workload(create_workload(runtime="go").id).to_dict()

    stored = get_workload(create_workload(runtime="go", **{name: EVERY_FIELD[name]}).id)

    assert getattr(stored, name) == EVERY_FIELD[name]
    without = stored.to_dict()
    for field in (name, "id", "created_at"):
        plain.pop(field, None)
        without.pop(field, None)
    assert without == plain


def test_a_default_of_a_servers_table_is_not_stored_for_what_is_absent(path):
    with closing(sqlite3.connect(path)) as server:
        columns = ", ".join(f"{name} DEFAULT 7" for name in Workload._meta.columns)
        server.execute(f"CREATE TABLE workloads ({columns})")

    with open_store(path):
        made = create_workload(runtime="go")

        assert get_workload(made.id) == made
        assert get_workload(made.id).exit_code is get_workload(made.id).output is None


def test_fields_may_be_given_in_any_order(store):
    given = {"node_id": "n", "mem_limit": 1, "output": b"x", "runtime": "go"}

    made = [create_workload(**{name: given[name] for name in order}) for order in itertools.permutations(given)]

    for workload in made:
        stored = get_workload(workload.id)
        assert {name: getattr(stored, name) for name in given} == given


@pytest.mark.parametrize("field, word", [
    *(("status", word) for word in Status), *(("isolation", word) for word in Isolation),
    *(("runtime", word) for word in Runtime),
])
def test_every_word_of_the_enumerations_can_be_stored(store, field, word):
    by_member = create_workload(**{"runtime": "go", field: word})
    by_text = create_workload(**{"runtime": "go", field: str(word)})

    assert getattr(get_workload(by_member.id), field) is word
    assert getattr(get_workload(by_text.id), field) is word


def test_a_time_of_another_zone_is_the_same_moment_in_utc(store):
    berlin = timezone(timedelta(hours=2))

    created = create_workload(runtime="go", created_at=NOON.astimezone(berlin))

    found = get_workload(created.id)
    assert found.created_at == NOON
    assert found.created_at.utcoffset() == created.created_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("output", [bytearray(b"\x00ab"), memoryview(b"\x00ab"), memoryview(b"b.a.\x00"[::-1])[::2]])
def test_any_bytes_like_output_is_stored_as_bytes(store, output):
    created = create_workload(runtime="go", output=output)

    found = get_workload(created.id)

    assert type(found.output) is type(created.output) is bytes
    assert found.output == bytes(output)


def test_the_ends_of_64_bits_can_be_stored(store):
    least = create_workload(runtime="go", exit_code=-(2**63))
    most = create_workload(runtime="go", exit_code=2**63 - 1)

    assert (get_workload(least.id).exit_code, get_workload(most.id).exit_code) == (-(2**63), 2**63 - 1)


@pytest.mark.parametrize("workload_id", ["x", "'; DROP TABLE workloads; --", "%", "日本", "a b\n"])
def test_an_id_of_the_callers_own_is_kept_to_the_letter(store, workload_id):
    created = create_workload(id=workload_id, runtime="go")

    assert created.id == get_workload(workload_id).id == workload_id


@pytest.mark.parametrize("again", [
    lambda: create_workload(id="taken", runtime="node"),
    lambda: create_workload(Workload(id="taken", runtime="node")),
    lambda: create_workload(get_workload("taken")),
], ids=["fields", "a workload", "one that is stored"])
def test_a_taken_id_is_refused_and_the_stored_one_untouched(store, again):
    first = make_workload(id="taken", output=b"first")

    with pytest.raises(WorkloadExistsError) as refusal:
        again()

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


@pytest.mark.parametrize("given", ["x", {"runtime": "go"}, 5])
def test_what_is_no_workload_is_refused(store, given):
    with pytest.raises(TypeError) as refusal:
        create_workload(given)

    assert "orkload" in str(refusal.value)
    assert list_workloads().total == 0


def test_a_workload_that_was_stored_counts_as_stored(store):
    workload = create_workload(Workload(runtime="go", id="a"))

    assert workload.dirty_fields == []
    assert workload.save() == 0


def test_a_subclass_of_a_text_or_a_number_is_stored_as_plain_text_or_number(store):
    class Text(str):
        pass

    class Number(int):
        pass

    made = create_workload(runtime="go", id=Text("a"), error=Text("e"), exit_code=Number(5))

    assert {type(made.id), type(made.error)} == {str}
    assert type(made.exit_code) is int


def released():
    view = memoryview(b"x")
    view.release()
    return view


class Nowhere(tzinfo):
    def utcoffset(self, moment):
        return None


@pytest.mark.parametrize("name, value", [
    ("output", released()), ("created_at", datetime(2026, 2, 18, tzinfo=Nowhere())),
], ids=["a released view", "a zone without an offset"])
def test_what_only_looks_right_is_refused(store, name, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        create_workload(runtime="go", **{name: value})

    assert refusal.value.field == name
