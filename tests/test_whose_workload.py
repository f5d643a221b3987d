"""Which store a Workload belongs to: where it is saved and deleted, and where queries of one's own go."""

from __future__ import annotations

import copy
import pickle

import peewee
import pytest

from vulcan_store import (
    LogLine,
    StoreUnavailableError,
    Workload,
    create_workload,
    get_workload,
    open_store,
)
from vulcan_store.testing import make_workload


@pytest.fixture
def second(store, tmp_path):
    """A store beside the current one, opened after it."""
    with open_store(tmp_path / "second.db", current=False) as second:
        yield second


def ids(store):
    return [workload.id for workload in store.iter_workloads()]


def test_a_query_of_ones_own_is_bound_to_a_store(store, second):
    second.create_workload(id="a", runtime="go")
    second.append_log_lines("a", ["x"])
    create_workload(id="b", runtime="go")

    assert [found.id for found in Workload.select().bind(second.database)] == ["a"]
    assert Workload.select().bind(second.database).count() == 1
    assert [line.line for line in LogLine.select().bind(second.database)] == ["x"]
    assert [found.id for found in Workload.select()] == ["b"]
    Workload.update(node_id="n").bind(second.database).execute()
    assert (second.get_workload("a").node_id, get_workload("b").node_id) == ("n", "")


RETURNED = {
    "created": lambda store: store.create_workload(id="x", runtime="go"),
    "created from a Workload": lambda store: store.create_workload(Workload(id="x", runtime="go")),
    "got": lambda store: store.get_workload("a"),
    "listed": lambda store: store.list_workloads().items[0],
    "streamed": lambda store: next(store.iter_workloads()),
    "updated": lambda store: store.update_workload("a", exit_code=1),
    "moved": lambda store: store.update_workload_status("a", "running"),
    "claimed": lambda store: store.claim_workload("m"),
}


@pytest.mark.parametrize("returned", RETURNED.values(), ids=RETURNED)
def test_a_workload_is_saved_and_deleted_in_the_store_that_returned_it(store, second, returned):
    for place in (store, second):
        place.create_workload(id="a", runtime="go")
    workload = returned(second)
    before = [other.__data__ for other in store.iter_workloads()]

    workload.node_id = "n"

    assert workload.save() == 1
    assert second.get_workload(workload.id).node_id == "n"
    assert workload.delete_instance() == 1
    assert workload.id not in ids(second)
    assert [other.__data__ for other in store.iter_workloads()] == before


def test_a_workload_is_deleted_with_its_log_in_its_own_store_alone(store, second):
    for place in (store, second):
        place.create_workload(id="a", runtime="go")
        place.append_log_lines("a", ["x"])
    workload = second.get_workload("a")

    with pytest.raises(peewee.IntegrityError):
        workload.delete_instance()
    assert ids(second) == ["a"]

    assert workload.delete_instance(recursive=True) == 1
    assert (ids(second), LogLine.select().bind(second.database).count()) == ([], 0)
    assert [line.line for line in store.list_log_lines("a")] == ["x"]


def test_a_workload_of_a_store_that_was_closed_is_not_saved_elsewhere(store, second):
    create_workload(id="a", runtime="go")
    workload = second.create_workload(id="a", runtime="go")
    second.close()

    workload.node_id = "n"

    with pytest.raises(StoreUnavailableError, match="closed"):
        workload.save()
    assert get_workload("a").node_id == ""


def test_a_new_workload_is_saved_in_the_current_store(store, second):
    Workload(id="a", runtime="go").save()

    assert (ids(store), ids(second)) == (["a"], [])


def test_bind_ctx_rebinds_queries_as_in_peewee_and_no_function(store, second):
    with second.database.bind_ctx([Workload, LogLine]):
        Workload.create(id="a", runtime="go")
        create_workload(id="b", runtime="go")
        assert Workload.select().count() == 1

    assert (ids(second), ids(store)) == (["a"], ["b"])
    assert [found.id for found in Workload.select()] == ["b"]


def test_a_subclass_follows_the_current_store(path):
    class Early(Workload):
        class Meta:
            table_name = "workloads"

    class Earlier(Early):
        class Meta:
            table_name = "workloads"

    with open_store(path):
        make_workload(id="a")
        with open_store(":memory:"):
            make_workload(id="b")
            inner = [[found.id for found in model.select()] for model in (Early, Earlier)]
        outer = [[found.id for found in model.select()] for model in (Early, Earlier)]

    assert (inner, outer) == ([["b"], ["b"]], [["a"], ["a"]])


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_is_saved_where_the_original_is(store, second, make):
    for place in (store, second):
        place.create_workload(id="a", runtime="go", output=b"x")

    copied = make(second.get_workload("a"))
    copied.node_id = "n"

    assert copied.save() == 1
    assert (copied.output, second.get_workload("a").node_id, get_workload("a").node_id) == (b"x", "n", "")


def test_a_copy_and_the_original_are_the_same_workload_to_save(store):
    made = make_workload(id="a")

    copy.copy(made).node_id = "n"

    assert made.save() == 1
    assert get_workload("a").node_id == "n"


def test_a_deep_copy_shares_no_values_with_the_original(store):
    made = make_workload(id="a")

    copied = copy.deepcopy(made)
    copied.node_id = "n"

    assert (made.node_id, copied == made) == ("", True)
    assert made.save() == 0


def test_a_workload_from_another_process_is_saved_in_the_current_store(store, second):
    for place in (store, second):
        place.create_workload(id="a", runtime="go", error="e")

    sent = pickle.loads(pickle.dumps(second.get_workload("a")))
    sent.node_id = "n"

    assert sent.__data__ == {**second.get_workload("a").__data__, "node_id": "n"}
    assert sent.save() == 1
    assert (get_workload("a").node_id, second.get_workload("a").node_id) == ("n", "")
