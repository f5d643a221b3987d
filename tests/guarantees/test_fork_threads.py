"""Threads that fork at once, and what interrupts a fork: no child may lose what it was told is stored."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter

import pytest

from guarantees.processes import HURRIED, PATIENCE, PATIENT, forked, in_threads, integrity, rows
from vulcan_store import StoreUnavailableError, create_workload, get_workload, list_workloads, open_store
from vulcan_store.engines import forks
from vulcan_store.engines.sqlite.database import ConnectedDatabase

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

CHILDREN = 6


@pytest.fixture
def unraisable(monkeypatch):
    """What is raised where Python can only report it, in the hooks of a fork for one."""
    raised = Counter()
    monkeypatch.setattr(sys, "unraisablehook", lambda what: raised.update([type(what.exc_value)]))
    return raised


def create():
    return create_workload(runtime="go").id


def signal_a_fork_that_is_under_way():
    while not forks._ready:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGUSR1)


def test_children_that_several_threads_fork_at_once_write_while_others_transact(path, unraisable):
    stop = threading.Event()

    def fork_often(barrier, place):
        barrier.wait(PATIENCE)
        return [forked(create)() for _ in range(CHILDREN)]

    def transact():
        while not stop.wait(0.002):  # SQLite's lock is not a queue, and the children want it too
            with store.database.atomic():
                made.append(create())
                list_workloads(2)

    made = []
    with open_store(path, pragmas=HURRIED) as store:
        writing = [threading.Thread(target=transact) for _ in range(2)]
        for thread in writing:
            thread.start()
        children = in_threads(3, fork_often)
        stop.set()
        for thread in writing:
            thread.join(PATIENCE)

    assert sorted(key for key, _ in rows(path)) == sorted([*made, *(key for keys in children for key in keys)])
    assert integrity(path) == "ok"
    assert not unraisable


def test_a_process_forks_while_threads_open_and_close_stores(tmp_path, unraisable):
    stop = threading.Event()

    def open_and_close(place):
        while not stop.is_set():
            open_store(tmp_path / f"{place}.db", pragmas={"synchronous": "off"}).close()

    threads = [threading.Thread(target=open_and_close, args=(place,)) for place in range(3)]
    with open_store(tmp_path / "main.db") as store:
        for thread in threads:
            thread.start()
        children = [forked(lambda: store.database.execute_sql("SELECT 1").fetchone())() for _ in range(30)]
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread hangs"

    assert children == [(1,)] * 30
    assert not unraisable


def test_a_copy_in_memory_is_not_locked_by_the_transaction_of_a_thread_that_is_not_there():
    inside, leave = threading.Event(), threading.Event()

    def transact():
        with store.database.atomic():
            create()
            inside.set()
            leave.wait(PATIENCE)

    with open_store(":memory:", pragmas={"busy_timeout": 100}) as store:
        thread = threading.Thread(target=transact)
        thread.start()
        inside.wait(PATIENCE)
        child = forked(lambda: (create(), list_workloads().total))
        leave.set()
        thread.join(PATIENCE)

        assert child()[1] == 1
        assert list_workloads().total == 1


def test_a_fork_that_is_interrupted_leaves_no_lock_and_the_child_is_told(path, unraisable):
    inside, leave = threading.Event(), threading.Event()

    def transact():
        with store.database.atomic():
            create()
            inside.set()
            leave.wait(PATIENCE)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    with open_store(path, pragmas={"busy_timeout": PATIENCE * 1000}) as store:
        thread = threading.Thread(target=transact)
        thread.start()
        inside.wait(PATIENCE)
        before = signal.signal(signal.SIGUSR1, interrupt)
        signalling = threading.Thread(target=signal_a_fork_that_is_under_way)
        signalling.start()
        child = forked(create)
        signalling.join(PATIENCE)
        signal.signal(signal.SIGUSR1, before)
        leave.set()
        thread.join(PATIENCE)

        with pytest.raises(StoreUnavailableError, match="forked"):
            child()
        in_threads(2, lambda barrier, place: create())
        assert list_workloads().total == 3
    assert unraisable == {KeyboardInterrupt: 1}


def test_a_signal_handler_that_calls_the_store_while_a_fork_waits_spoils_nothing_for_the_child(path):
    inside, leave, served = threading.Event(), threading.Event(), []

    def transact():
        with store.database.atomic():
            inside.set()
            leave.wait(PATIENCE)

    def use(number, frame):
        served.append(get_workload("one").id)
        leave.set()

    with open_store(path, pragmas=PATIENT) as store:
        create_workload(runtime="go", id="one")
        thread = threading.Thread(target=transact)
        thread.start()
        inside.wait(PATIENCE)
        before = signal.signal(signal.SIGUSR1, use)
        signalling = threading.Thread(target=signal_a_fork_that_is_under_way)
        signalling.start()
        store.database.close()  # so that the handler opens a connection
        child = forked(lambda: [create() for _ in range(3)])
        signalling.join(PATIENCE)
        thread.join(PATIENCE)
        signal.signal(signal.SIGUSR1, before)

    made = child()
    assert served == ["one"]
    assert sorted(key for key, _ in rows(path)) == sorted(["one", *made])


def test_a_fork_while_its_own_thread_is_connecting_is_told_to_the_child(path, monkeypatch):
    children = []
    set_pragmas = ConnectedDatabase._set_pragmas

    def set_pragmas_and_fork(database, connection):
        set_pragmas(database, connection)
        if not children:
            children.append(forked(create))

    with open_store(path) as store:
        create()
        store.database.close()
        monkeypatch.setattr(ConnectedDatabase, "_set_pragmas", set_pragmas_and_fork)

        assert list_workloads().total == 1
        with pytest.raises(StoreUnavailableError, match="forked"):
            children[0]()


def test_a_signal_handler_that_forks_in_the_middle_of_a_call_breaks_neither_the_call_nor_the_child(path):
    children = []

    def fork(number, frame):
        children.append(forked(create))

    def call():
        for _ in range(3):
            create_workload(runtime="go", output=b"x")
            list_workloads(2)

    with open_store(path) as store:
        create()
        before = signal.signal(signal.SIGUSR1, fork)
        for moment in range(5, 100, 7):
            left = iter(range(moment))

            def watch(frame, event, argument, left=left):
                if event == "c_return" and next(left, None) is None:
                    sys.setprofile(None)
                    signal.raise_signal(signal.SIGUSR1)

            sys.setprofile(watch)
            try:
                call()
            finally:
                sys.setprofile(None)
        signal.signal(signal.SIGUSR1, before)
        total = 1 + 3 * len(range(5, 100, 7))
        for child in children:
            try:
                child()
            except StoreUnavailableError as refusal:
                assert "forked" in refusal.reason
            else:
                total += 1
        assert list_workloads(0).total == total
        assert store.database.connection().execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert len(children) > 10
