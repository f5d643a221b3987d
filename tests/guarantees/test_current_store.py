"""The current store is the thread's own: no thread meets another's rows, or another's close."""

import threading

import pytest

from guarantees.processes import in_threads
from vulcan_store import (
    StoreUnavailableError,
    Workload,
    close_store,
    create_workload,
    list_workloads,
    open_store,
)


def test_threads_with_stores_of_their_own_never_meet_beside_threads_without(tmp_path, effort):
    rounds = effort(6, long=300)

    def tenant(name):
        def work(barrier, place):
            for number in range(rounds):
                with open_store(tmp_path / f"{name}.db", pragmas={"synchronous": "off"}):
                    create_workload(runtime="go", node_id=name)
                    if number % 3 == 0:
                        with open_store(tmp_path / f"{name}-inner.db", pragmas={"synchronous": "off"}):
                            create_workload(runtime="go", node_id=f"{name}-inner")
                            assert list_workloads(1).items[0].node_id == f"{name}-inner"
                    Workload.create(runtime="go", node_id=name)
                    assert {row.node_id for row in Workload.select()} == {name}
                    assert list_workloads(0).total == 2 * (number + 1)
        return work

    def servant(barrier, place):
        for _ in range(rounds):
            create_workload(runtime="go", node_id="main")
            assert {row.node_id for row in Workload.select()} == {"main"}

    works = [tenant("a"), tenant("b"), tenant("c"), servant, servant]
    with open_store(tmp_path / "main.db", pragmas={"synchronous": "off"}):
        in_threads(5, lambda barrier, place: works[place](barrier, place))
        assert list_workloads(0).total == 2 * rounds


def test_threads_use_what_is_current_where_the_first_store_was_opened(tmp_path):
    def total(barrier, place):
        return list_workloads().total

    with open_store(tmp_path / "one.db"):
        create_workload(runtime="go")
        totals = in_threads(1, total)
        with open_store(tmp_path / "two.db"):
            totals += in_threads(1, total)
        totals += in_threads(1, total)

    assert totals == [1, 0, 1]


def test_the_first_that_is_still_open_decides_for_threads_without_one(tmp_path):
    stores, opened, leave = [], threading.Barrier(3), threading.Event()

    def hold(name):
        def work():
            with open_store(tmp_path / name) as store:
                store.create_workload(runtime="go", node_id=name)
                stores.append((name, store))
                opened.wait()
                leave.wait()
        return work

    threads = [threading.Thread(target=hold(name)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    opened.wait()
    try:
        seen = [list_workloads().items[0].node_id]
        assert seen[0] in ("a", "b")
        dict(stores)[seen[0]].close()
        seen.append(list_workloads().items[0].node_id)
        assert sorted(seen) == ["a", "b"]
    finally:
        leave.set()
        for thread in threads:
            thread.join()
    with pytest.raises(StoreUnavailableError, match="call open_store"):
        list_workloads()


def test_closing_the_current_store_of_a_thread_leaves_that_of_others(tmp_path):
    with open_store(tmp_path / "main.db"):
        def work(barrier, place):
            open_store(tmp_path / "own.db")
            close_store()
            create_workload(runtime="go")

        in_threads(1, work)
        assert list_workloads().total == 1


def test_a_query_of_the_models_without_a_store_says_what_to_call():
    for ask in (lambda: list(Workload.select()), lambda: Workload.create(runtime="go"), Workload.select().count):
        with pytest.raises(StoreUnavailableError, match="call open_store"):
            ask()
    assert "workloads" in Workload.select().sql()[0]
