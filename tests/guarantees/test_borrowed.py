"""Connections are borrowed for one statement or one transaction: few are needed, and none is lost or lent twice."""

import ctypes
import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from guarantees.processes import HURRIED, PATIENCE, PATIENT, descriptors, forked, in_threads, rows
from vulcan_store import (
    StoreUnavailableError,
    Workload,
    create_workload,
    create_workloads,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
)


def test_a_hundred_threads_that_stay_need_only_a_few_descriptors(path):
    def work_and_stay(barrier, place):
        with turn:
            made = create_workload(runtime="go", exit_code=place).id
            assert get_workload(made).exit_code == place
        barrier.wait(PATIENCE)  # every thread is there and has worked
        if place == 0:
            counted.append(descriptors())
        barrier.wait(PATIENCE)

    turn, counted = threading.Lock(), []
    with open_store(path, pragmas=HURRIED):
        before = descriptors()
        in_threads(100, work_and_stay)

        assert counted[0] < before + 10
        assert list_workloads(0).total == 100


def test_a_thread_that_ends_within_a_transaction_leaves_no_lock(path):
    def begin(barrier, place):
        store.database.atomic().__enter__()
        create_workload(runtime="go", id="theirs")

    with open_store(path, pragmas={"busy_timeout": 0}) as store:
        with store.database.atomic():
            in_threads(1, lambda barrier, place: list_workloads())  # so that a connection stays idle
        in_threads(1, begin)

        create_workload(runtime="go", id="mine")

    assert rows(path) == [("mine", "pending")]


def test_a_thread_that_ends_without_having_had_a_connection_is_forgotten(path):
    with open_store(path) as store:
        with store.database.atomic():
            create_workload(runtime="go")
            in_threads(1, lambda barrier, place: pytest.raises(StoreUnavailableError, store.database.connection))

            assert in_threads(1, lambda barrier, place: list_workloads().total) == [0]


def test_a_thread_that_c_made_and_that_ends_within_a_transaction_leaves_no_lock(path):
    def begin(nothing):
        store.database.atomic().__enter__()
        create_workload(runtime="go", id="theirs")

    program, thread, begins = ctypes.CDLL(None), ctypes.c_void_p(), ctypes.CFUNCTYPE(None, ctypes.c_void_p)(begin)
    with open_store(path, pragmas={"busy_timeout": 0}) as store:
        program.pthread_create(ctypes.byref(thread), None, begins, None)
        program.pthread_join(thread, None)

        create_workload(runtime="go", id="mine")

    assert rows(path) == [("mine", "pending")]


def in_two_halves(store):
    """As web frameworks run what gives a request its transaction."""
    with store.database.atomic():
        create_workload(runtime="go", id="lost")
        yield


def test_a_transaction_left_in_another_thread_is_rolled_back_says_so_and_keeps_nobody_waiting(path):
    def leave(barrier, place):
        with pytest.raises(StoreUnavailableError, match="in another thread") as caught:
            next(halves)
        create_workload(runtime="go", id="theirs")
        return caught.value.target

    with open_store(path, pragmas={"busy_timeout": 0}) as store:
        halves = in_two_halves(store)
        next(halves)
        assert in_threads(1, leave) == [path]
        assert not store.database.in_transaction()
        create_workload(runtime="go", id="mine")
        with store.database.atomic():
            create_workload(runtime="go", id="mine too")

    assert [key for key, _ in rows(path)] == ["mine", "mine too", "theirs"]


def test_a_transaction_left_in_another_thread_during_a_call_is_rolled_back_after_it(path):
    inside, go_on = threading.Event(), threading.Event()
    with open_store(path, pragmas=PATIENT) as store, ThreadPoolExecutor() as threads:
        store.database.register_function(lambda: inside.set() or go_on.wait(PATIENCE), "hold", 0)
        halves = in_two_halves(store)

        def enter():
            next(halves)
            return store.database.execute_sql("SELECT hold()").fetchall()

        holding = threads.submit(enter)
        assert inside.wait(PATIENCE)
        with pytest.raises(StoreUnavailableError, match="in another thread"):
            next(halves)
        go_on.set()
        assert holding.result(PATIENCE) == [(1,)]
        create_workload(runtime="go", id="mine")

    assert rows(path) == [("mine", "pending")]


class Garbage:
    """Uses the store when it ends, which is whenever the garbage collector comes by."""

    def __init__(self):
        self.me = self

    def __del__(self):
        list_workloads(0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a first call
def test_an_object_whose_end_uses_the_store_blocks_nobody(path, effort):
    def make_garbage(barrier, place):
        for _ in range(effort(60, long=2_000)):
            Garbage()
            in_threads(1, lambda barrier, place: list_workloads(1))

    def work():
        with open_store(path):
            in_threads(4, make_garbage)

    assert forked(work)() is None


def connection_of(store):
    with store.database.atomic("DEFERRED"):
        return store.database.connection()


def test_a_function_of_sql_that_calls_the_store_does_not_give_its_connection_away(path):
    def total():
        return list_workloads().total

    with open_store(path) as store:
        create_workload(runtime="go")
        store.database.register_function(total, "total_so_far", 0)

        assert store.database.execute_sql("SELECT total_so_far()").fetchall() == [(1,)]

        with store.database.atomic():
            create_workload(runtime="go")
            mine = store.database.connection()
            assert in_threads(1, lambda barrier, place: connection_of(store) is mine) == [False]


def use_everything(store):
    create_workload(runtime="wasm", id="from within")
    update_workload("from within", exit_code=1)
    assert get_workload("from within").exit_code == 1
    assert Workload.select().count() == list_workloads().total == 2
    with pytest.raises(ZeroDivisionError):
        with store.database.atomic():
            create_workloads([{"runtime": "wasm", "id": "undone"}])
            raise ZeroDivisionError


def test_a_generator_given_to_create_workloads_uses_the_store(path):
    def workloads():
        yield {"runtime": "go", "id": "first"}
        use_everything(store)
        yield {"runtime": "go", "id": "last"}

    with open_store(path) as store:
        assert create_workloads(workloads()) == 2

    assert [key for key, _ in rows(path)] == ["first", "from within", "last"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_generator_given_to_create_workloads_forks_and_the_call_goes_on(path, kind):
    children = []

    def workloads():
        yield {"runtime": "go"}
        children.append(forked(lambda: create_workload(runtime="go").id))
        yield {"runtime": "go"}

    with open_store(path if kind == "file" else ":memory:", pragmas={"busy_timeout": 100}):
        assert create_workloads(workloads()) == 2
        if kind == "file":
            with pytest.raises(StoreUnavailableError, match="forked"):
                children[0]()
        else:
            assert children[0]()
        assert in_threads(1, lambda barrier, place: list_workloads().total) == [2]
        create_workload(runtime="go")


def test_closing_twice_and_from_several_threads_at_once_closes_once(path, tmp_path):
    def close(barrier, place):
        barrier.wait(PATIENCE)
        for _ in range(3):
            store.close()

    for _ in range(5):
        store = open_store(path, pragmas=HURRIED)
        create_workload(runtime="go")
        in_threads(4, close)
        assert os.listdir(tmp_path) == [os.path.basename(path)]
    assert len(rows(path)) == 5


def test_a_clock_that_stands_still_hangs_neither_opening_nor_writing_nor_closing(path, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE theirs (id)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked"):
            open_store(path, pragmas={"busy_timeout": 50})
        other.execute("ROLLBACK")

    with open_store(path):
        create_workload(runtime="go", id="mine")
    assert rows(path) == [("mine", "pending")]
