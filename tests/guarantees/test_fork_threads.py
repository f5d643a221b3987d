"""Threads that fork at once, and what interrupts a fork: no child may lose what it was told is stored."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter

import pytest

from guarantees.processes import HURRIED, PATIENCE, forked, in_threads, integrity, rows
from vulcan_store import StoreUnavailableError, create_workload, list_workloads, open_store

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


def signal_a_fork_that_is_under_way(store):
    while store.database.pool.lending:
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
        signalling = threading.Thread(target=signal_a_fork_that_is_under_way, args=(store,))
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
