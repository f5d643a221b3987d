"""A store is an object: what its methods do stays in it, and which one is current."""

import inspect
import itertools
import pickle

import pytest
from calls import CALLS, STATEMENTS, fill
from cases import each, empty

import vulcan_store
from vulcan_store import (
    Store,
    StoreUnavailableError,
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


@each("name", FUNCTIONS)
def test_every_function_is_a_method_of_the_same_signature_and_docstring(name):
    function, method = getattr(vulcan_store, name), getattr(Store, name)

    first, *others = inspect.signature(method).parameters.values()

    assert set(FUNCTIONS) == set(CALLS) == {
        name for name, value in vars(Store).items() if inspect.isfunction(value) and name[0] != "_"
    } - {"close"}
    assert first.name == "store"
    assert list(inspect.signature(function).parameters.values()) == others
    assert inspect.signature(function).return_annotation == inspect.signature(method).return_annotation
    assert function.__doc__ == method.__doc__
    assert function.__name__ == name


@each("name", FUNCTIONS)
def test_a_method_never_touches_another_store(store, second, tmp_path, name):
    empty(second)
    fill(store)
    fill(second)
    seen, other = [], []
    second.database.query_hooks.append(seen.append)
    store.database.query_hooks.append(other.append)

    CALLS[name][1](second, tmp_path / f"{name}.db")

    assert other == []
    assert seen or name not in STATEMENTS


@each("name", STATEMENTS)
def test_a_function_stays_with_the_store_that_was_current_when_it_was_called(store, tmp_path, name):
    fill(store)
    seen, later = [], []

    def open_another(event):
        store.database.query_hooks.remove(open_another)
        later.append(open_store(tmp_path / "later.db"))
        later[0].database.query_hooks.append(seen.append)

    store.database.query_hooks.append(open_another)

    CALLS[name][1](vulcan_store, tmp_path / "copy.db")

    later[0].close()
    assert seen == []


def test_a_function_can_be_sent_to_another_process(store):
    create_workload(id="a", runtime="go")

    sent = pickle.loads(pickle.dumps(get_workload))

    assert sent("a").runtime == "go"
    assert repr(sent) == "<bound method get_workload of the current store>"


@each("order", list(itertools.permutations(range(3))))
def test_current_is_the_one_opened_last_that_is_still_open(order):
    stores = {number: open_store(":memory:") for number in range(3)}
    with open_store(":memory:", current=False):
        for number in order:
            create_workload(id="a", runtime="go")
            assert stores[max(stores)].delete_workload("a") is None
            stores.pop(number).close()
        with pytest.raises(StoreUnavailableError):
            list_workloads()


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
