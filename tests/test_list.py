"""Listing workloads: pages, their order, their total, and the filters."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from cases import each
from workloads import NOON

from vulcan_store import (
    InvalidWorkloadError,
    Status,
    StoreError,
    list_workloads,
    open_store,
)
from vulcan_store.testing import make_workload


def ids(page):
    return [workload.id for workload in page.items]


@pytest.fixture
def seven(store):
    """Seven workloads, a to g, each a minute after the one before."""
    for minute, workload_id in enumerate("abcdefg"):
        make_workload(id=workload_id, created_at=NOON + timedelta(minutes=minute))


@each("limit, offset, expected", [
    (2**63 - 1, 2, "edcba"), (1, 2**63 - 1, ""), (2**64, 2, "edcba"), (1, 2**64, ""),
])
def test_limits_and_offsets_may_be_as_large_as_they_like(seven, limit, offset, expected):
    page = list_workloads(limit, offset)

    assert ("".join(ids(page)), page.total) == (expected, 7)


def test_twenty_come_when_no_limit_is_given(store):
    for _ in range(21):
        make_workload()

    page = list_workloads()

    assert (len(page.items), page.total) == (20, 21)


@pytest.fixture
def mixed(store):
    rows = {
        "a": {"status": "pending", "isolation": "auto", "runtime": "go", "node_id": "", "input_hash": None},
        "b": {"status": "running", "isolation": "gvisor", "runtime": "python", "node_id": "n1", "input_hash": "h1"},
        "c": {"status": "running", "isolation": "", "runtime": "node", "node_id": "n2", "input_hash": "h2"},
    }
    for minute, (workload_id, fields) in enumerate(rows.items()):
        make_workload(id=workload_id, created_at=NOON + timedelta(minutes=minute), **fields)


@each("filters, expected", [
    ({"status": ("running", "running")}, "cb"), ({"status": set(Status)}, "cba"),
    ({"isolation": ["gvisor", ""]}, "cb"), ({"node_id": ""}, "a"), ({"input_hash": [None, "h2"]}, "ca"),
    ({"input_hash": {"h1": 1, "h2": 2}.keys()}, "cb"),
])
def test_a_filter_takes_any_collection_and_what_is_empty(mixed, filters, expected):
    page = list_workloads(**filters)

    assert ("".join(ids(page)), page.total) == (expected, len(expected))


DIGEST = "0123456789abcdef" * 4


@each("input_hash", [
    DIGEST[0], DIGEST, f"sha256:{DIGEST}", f"{DIGEST}:sha256", "é" * 12,
])
@each("shape", [
    str, lambda value: [value, "other"], lambda value: [value, *map("other {}".format, range(20))],
])
def test_an_input_is_found_by_a_hash_of_any_length(store, input_hash, shape):
    others = f"x{input_hash}", input_hash[1:], f"{input_hash}x", f"{input_hash} "
    for number, different in enumerate((input_hash, *others)):
        make_workload(id=f"w{number}", input_hash=different)
    make_workload(id="again", input_hash=input_hash)

    page = list_workloads(input_hash=shape(input_hash))

    assert (sorted(ids(page)), page.total) == (["again", "w0"], 2)


@each(
    "name", ["status", "isolation", "runtime", "node_id", "input_hash", "created_since", "created_before"]
)
def test_none_is_no_filter(mixed, name):
    page = list_workloads(**{name: None})

    assert ("".join(ids(page)), page.total) == ("cba", 3)


def test_page_and_total_are_of_one_moment(path, monkeypatch):
    with open_store(path) as store:
        make_workload()
        read = store.database.read

        def read_and_let_another_write(*statement):
            rows = read(*statement)
            with closing(sqlite3.connect(path)) as other, other:
                other.execute(
                    "INSERT INTO workloads (id, status, isolation, runtime, node_id, created_at) SELECT "
                    "hex(randomblob(8)), status, isolation, runtime, node_id, created_at FROM workloads LIMIT 1"
                )
            return rows

        monkeypatch.setattr(store.database, "read", read_and_let_another_write)
        page = list_workloads(limit=1)  # a full page, whose total has to be counted

    assert (len(page.items), page.total) == (1, 1)


def test_a_collection_may_have_8192_values_and_each_twice(mixed):
    nodes = ["n2", *(f"x{number}" for number in range(8_191))]

    page = list_workloads(node_id=nodes + nodes)

    assert (ids(page), page.total) == (["c"], 1)


def test_a_collection_with_more_values_than_an_engine_takes_is_refused(mixed):
    nodes = ["n2", *(f"x{number}" for number in range(8_192))]

    with pytest.raises(InvalidWorkloadError) as refusal:
        list_workloads(node_id=nodes)

    assert refusal.value.field == "node_id"
    assert "8,192" in refusal.value.expected


def test_the_longest_collections_fit_together_into_sqlites_own_limit(path):
    values = [str(number) for number in range(8_192)]
    with open_store(path) as store:
        make_workload(node_id="7", input_hash="9")

        with store.database.atomic():
            store.database.connection().setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)

            assert len(list_workloads(node_id=values, input_hash=values, status=["pending", "running"]).items) == 1


def test_without_output_the_rest_is_the_same_and_saving_leaves_the_stored_output(store):
    made = make_workload(output=b"large", exit_code=3)

    for filters in ({}, {"status": ["pending", "running"]}):
        (bare,) = list_workloads(with_output=False, **filters).items
        assert bare.__data__ == {**made.__data__, "output": None}

    bare.node_id = "n"
    bare.save()

    (stored,) = list_workloads().items
    assert (stored.output, stored.node_id) == (b"large", "n")


@each("name", ["limit", "offset"])
@each("value", [-1, 1.0, "1", None, True])
def test_a_limit_or_offset_that_is_no_whole_number_from_zero_is_refused(seven, name, value):
    with pytest.raises(ValueError) as refusal:
        list_workloads(**{name: value})

    assert isinstance(refusal.value, StoreError)
    assert refusal.value.field == name
    assert refusal.value.value is value


@each("name", ["colour", "output"])
def test_an_unknown_filter_is_refused(seven, name):
    with pytest.raises(TypeError) as refusal:
        list_workloads(**{name: None})

    assert repr(name) in str(refusal.value)


@each("name, value", [
    ("status", ["running", "paused"]), ("isolation", "docker"), ("runtime", 5), ("node_id", ["n1", 5]),
    ("input_hash", b"h1"), ("node_id", "\ud800"), ("status", [None]), ("created_since", [NOON]),
])
def test_a_filter_value_that_its_field_cannot_have_is_refused(seven, name, value):
    with pytest.raises(InvalidWorkloadError) as refusal:
        list_workloads(**{name: value})

    assert refusal.value.field == name
    assert refusal.value.value is value or refusal.value.value in value
