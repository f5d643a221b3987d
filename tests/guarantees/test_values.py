"""Any value that a column may hold is stored as it is, and read back equal, by whichever way."""

import json
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import CHANGEABLE, FIRST, LAST, moments, new_workloads

from vulcan_store import (
    Runtime,
    Status,
    Workload,
    create_workload,
    create_workloads,
    delete_workload,
    get_workload,
    iter_workloads,
    list_workloads,
    open_store,
    update_workload,
)


@pytest.fixture
def opened(path):
    with open_store(path, pragmas={"synchronous": "off"}) as store:
        yield store


def assert_equal(found, fields):
    for name, given_value in fields.items():
        value = getattr(found, name)
        absent = "" if name in ("input_hash", "error") else None
        assert value == (absent if given_value is None else given_value), name
        assert not isinstance(value, datetime) or value.tzinfo is UTC
    assert type(found.output) in (bytes, type(None))
    assert (type(found.status), type(found.runtime)) == (Status, Runtime)


@given(st.lists(new_workloads, max_size=4, unique_by=lambda fields: fields["id"]))
def test_what_was_written_is_read_back_equal_and_in_order(opened, rows):
    Workload.delete().execute()
    for fields in rows:
        assert_equal(create_workload(**fields), fields)

    newest_first = sorted(rows, key=lambda fields: (fields["created_at"], fields["id"].encode()), reverse=True)

    for found, fields in zip(list_workloads().items, newest_first, strict=True):
        assert_equal(found, fields)
    for fields in rows:
        assert_equal(get_workload(fields["id"]), fields)
        assert_equal(Workload.get(Workload.id == fields["id"], Workload.created_at == fields["created_at"]), fields)


@given(new_workloads, st.fixed_dictionaries({}, optional={**CHANGEABLE, "status": st.sampled_from(["running"])}))
def test_what_was_changed_is_read_back_equal_and_the_rest_is_as_it_was(opened, fields, changes):
    Workload.delete().execute()
    create_workload(**{**fields, "status": "pending"})

    changed = update_workload(fields["id"], **changes)

    assert_equal(changed, {**{name: fields[name] for name in fields if name != "status"}, **changes} | (
        {} if "started_at" in changes or changes.get("status") != "running" else {"started_at": changed.started_at}
    ))
    assert get_workload(fields["id"]).__data__ == changed.__data__


@given(new_workloads)
def test_a_workload_comes_back_from_its_json_form_and_from_another_store(opened, fields):
    Workload.delete().execute()
    made = create_workload(**{**fields, "status": "pending"})  # whose times are nobody else's
    form = json.loads(json.dumps(made.to_dict()))
    delete_workload(made.id)

    for moved in (Workload.from_dict(form), made):
        assert create_workloads([moved]) == 1
        again = next(iter_workloads())
        assert {**again.__data__, "output": again.output or None} == {**made.__data__, "output": made.output or None}
        delete_workload(made.id)


def test_outputs_of_many_mebibytes_come_back_whole(opened, effort):
    large = [bytes([number]) * effort(4, long=64) * 2**20 for number in range(3)]

    created = create_workload(runtime="oci", output=large[0])
    update_workload(created.id, output=large[1])
    create_workload(runtime="oci", id="0", output=memoryview(large[2]), created_at=FIRST)

    assert [found.output for found in list_workloads().items] == large[1:]
    assert [found.output for found in list_workloads(with_output=False).items] == [None, None]


def test_every_character_of_unicode_comes_back_in_every_text(opened, effort):
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1, effort(97, long=1))]))

    create_workload(runtime="go", id=everything[1:], node_id=everything, input_hash=everything, error=everything)

    found = get_workload(everything[1:])
    assert (found.id, found.node_id, found.input_hash, found.error) == (everything[1:], *[everything] * 3)
    assert list_workloads(input_hash=everything).total == 1


@given(st.sets(moments, min_size=1, max_size=4))
def test_times_sort_and_are_filtered_as_times_from_the_first_microsecond_to_the_last(opened, some):
    Workload.delete().execute()
    times = sorted({*some, FIRST, LAST})
    create_workloads({"runtime": "go", "created_at": at} for at in times)

    assert [found.created_at for found in iter_workloads()] == times[::-1]
    for place, at in enumerate(times):
        assert list_workloads(0, created_since=at).total == len(times) - place
        assert list_workloads(0, created_before=at).total == place
