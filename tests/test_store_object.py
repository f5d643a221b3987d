"""A store is an object: what its methods do stays in it, and which one is current."""

from __future__ import annotations

import inspect
import itertools
import pickle
import threading
from datetime import UTC, datetime, timedelta

import pytest

import vulcan_store
from vulcan_store import (
    Store,
    StoreUnavailableError,
    Workload,
    close_store,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
)

FUNCTIONS = sorted(
    name for name in vulcan_store.__all__
    if inspect.isroutine(getattr(vulcan_store, name)) and name not in ("open_store", "close_store")
)


@pytest.fixture
def store(workload_store):
    """A store that is the one opened last, as no store of a whole module is."""
    return workload_store


@pytest.fixture
def second(store, tmp_path):
    """A store beside the current one, opened after it."""
    with open_store(tmp_path / "second.db", current=False) as second:
        yield second


def ids(store):
    return [workload.id for workload in store.iter_workloads()]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_a_method_of_the_same_signature_and_docstring(name):
    function, method = getattr(vulcan_store, name), getattr(Store, name)

    first, *others = inspect.signature(method).parameters.values()

    assert first.name == "store"
    assert list(inspect.signature(function).parameters.values()) == others
    assert inspect.signature(function).return_annotation == inspect.signature(method).return_annotation
    assert function.__doc__ == method.__doc__
    assert function.__name__ == name


def test_every_public_method_is_a_function_too():
    methods = {name for name, value in vars(Store).items() if inspect.isfunction(value) and name[0] != "_"}

    assert methods - {"close"} == set(FUNCTIONS)


CALLS = {
    "create_workload": lambda store, path: store.create_workload(runtime="go"),
    "create_workloads": lambda store, path: store.create_workloads([{"runtime": "go"}]),
    "get_workload": lambda store, path: store.get_workload("a"),
    "list_workloads": lambda store, path: store.list_workloads(page=1),
    "iter_workloads": lambda store, path: list(store.iter_workloads()),
    "update_workload_status": lambda store, path: store.update_workload_status("a", "running"),
    "update_workload": lambda store, path: store.update_workload("a", output=b"x"),
    "delete_workload": lambda store, path: store.delete_workload("b"),
    "claim_workload": lambda store, path: store.claim_workload("n"),
    "release_workloads": lambda store, path: store.release_workloads(node_id="n"),
    "wait_workload": lambda store, path: store.wait_workload("done"),
    "append_log_lines": lambda store, path: store.append_log_lines("a", ["x"]),
    "list_log_lines": lambda store, path: store.list_log_lines("a"),
    "workload_stats": lambda store, path: store.workload_stats(),
    "purge_workloads": lambda store, path: store.purge_workloads(datetime.now(UTC) + timedelta(days=1)),
    "backup_store": lambda store, path: store.backup_store(path),
    "restore_store": lambda store, path: [store.backup_store(path), store.restore_store(path)],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_method_never_touches_another_store(store, second, tmp_path, name):
    for place in (store, second):
        place.create_workloads([
            {"id": "a", "runtime": "go"}, {"id": "b", "runtime": "go"},
            {"id": "done", "runtime": "go", "status": "failed"}, {"id": "c", "runtime": "go", "status": "running",
                                                                  "node_id": "n"},
        ])
    seen, other = [], []
    second.database.query_hooks.append(seen.append)
    store.database.query_hooks.append(other.append)

    CALLS[name](second, tmp_path / "copy.db")

    assert other == []
    assert seen or name in ("backup_store", "restore_store")


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("backup_store", "restore_store")])
def test_a_function_stays_with_the_store_that_was_current_when_it_was_called(store, tmp_path, name):
    store.create_workloads([
        {"id": "a", "runtime": "go"}, {"id": "b", "runtime": "go"}, {"id": "done", "runtime": "go", "status": "failed"},
        {"id": "c", "runtime": "go", "status": "running", "node_id": "n"},
    ])
    seen, later = [], []

    def open_another(event):
        store.database.query_hooks.remove(open_another)
        later.append(open_store(tmp_path / "later.db"))
        later[0].database.query_hooks.append(seen.append)

    store.database.query_hooks.append(open_another)

    CALLS[name](vulcan_store, tmp_path / "copy.db")

    later[0].close()
    assert seen == []


def test_a_function_can_be_sent_to_another_process(store):
    create_workload(id="a", runtime="go")

    sent = pickle.loads(pickle.dumps(get_workload))

    assert sent("a").runtime == "go"
    assert repr(sent) == "<bound method get_workload of the current store>"


def test_two_stores_hold_different_workloads_under_one_id(store, second):
    create_workload(id="a", runtime="go")
    second.create_workload(id="a", runtime="wasm")

    second.update_workload("a", node_id="n")

    assert (get_workload("a").runtime, get_workload("a").node_id) == ("go", "")
    assert (second.get_workload("a").runtime, second.get_workload("a").node_id) == ("wasm", "n")


def test_a_store_that_is_not_made_current_changes_nothing_for_other_threads(store, tmp_path):
    opened, written = threading.Event(), threading.Event()
    inner = []

    def look_into_another():
        with open_store(tmp_path / "archive.db", current=False) as archive:
            opened.set()
            written.wait(30)
            inner.append(ids(archive))

    thread = threading.Thread(target=look_into_another)
    thread.start()
    opened.wait(30)
    create_workload(id="a", runtime="go")
    Workload.create(id="b", runtime="go")
    written.set()
    thread.join()

    assert inner == [[]]
    assert sorted(ids(store)) == ["a", "b"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_current_is_the_one_opened_last_that_is_still_open(order):
    stores = [open_store(":memory:") for _ in range(3)]
    aside = open_store(":memory:", current=False)
    for number, store in enumerate(stores):
        store.create_workload(id=f"{number}", runtime="go")

    found = []
    for closed in order:
        stores[closed].close()
        try:
            found.append(list_workloads().items[0].id)
        except StoreUnavailableError:
            found.append(None)

    left = [set(range(3)) - set(order[:count]) for count in (1, 2, 3)]
    assert found == [str(max(open_ones)) if open_ones else None for open_ones in left]
    aside.close()


def test_close_store_never_closes_one_that_is_not_current(store, second):
    close_store()
    close_store()

    with pytest.raises(StoreUnavailableError, match="call open_store"):
        create_workload(runtime="go")
    second.create_workload(id="a", runtime="go")
    assert ids(second) == ["a"]


def test_closing_one_that_is_not_current_leaves_the_current_one(store, second):
    second.close()

    create_workload(id="a", runtime="go")

    assert ids(store) == ["a"]
    with pytest.raises(StoreUnavailableError, match="closed"):
        second.get_workload("a")


def test_a_failed_opening_leaves_the_current_store_current(store, tmp_path):
    for current in (True, False):
        with pytest.raises(StoreUnavailableError):
            open_store(tmp_path / "missing" / "v.db", current=current)

    create_workload(id="a", runtime="go")
    update_workload("a", node_id="n")
    assert [found.node_id for found in store.iter_workloads()] == ["n"]
