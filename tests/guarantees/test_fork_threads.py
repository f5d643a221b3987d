"""Threads that fork at once, and what interrupts a fork: no child may lose what it was told is stored."""

from __future__ import annotations

import gc
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


def test_a_process_forks_while_threads_open_and_close_stores(tmp_path, unraisable, effort):
    count = effort(6, long=30)
    stop = threading.Event()

    def open_and_close(place):
        while not stop.is_set():
            open_store(tmp_path / f"{place}.db", pragmas={"synchronous": "off"}).close()

    threads = [threading.Thread(target=open_and_close, args=(place,)) for place in range(3)]
    with open_store(tmp_path / "main.db") as store:
        for thread in threads:
            thread.start()
        children = [forked(lambda: store.database.execute_sql("SELECT 1").fetchone())() for _ in range(count)]
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread hangs"

    assert children == [(1,)] * count
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


def test_a_fork_that_is_interrupted_at_any_moment_keeps_nobody_from_going_on(path, unraisable, effort):
    def interrupt(frame, event, argument):
        nonlocal left
        if event in events and frame.f_globals["__name__"].startswith("vulcan_store."):
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt

    def go_on(barrier, place):
        open_store(f"{path}-other", current=False).close()
        return create() and forked(create)()

    events = effort(["call"], long=["call", "c_return"])
    moment = left = 0
    with open_store(path, pragmas=HURRIED):
        while left == 0:
            create()
            moment += 1
            left = moment
            sys.setprofile(interrupt)
            child = forked(lambda: (sys.setprofile(None), create()))
            sys.setprofile(None)
            try:
                child()
            except StoreUnavailableError:
                pass
            assert go_on(None, 0) and in_threads(1, go_on)
    gc.collect()  # here, where it is no fault that one which was just being closed is closed by its end
    assert unraisable.total() > 10


@pytest.mark.parametrize("ends_in_time", [True, False])
def test_a_fork_waits_for_a_backup_for_the_busy_timeout_and_then_refuses_the_child(path, ends_in_time):
    inside, leave = threading.Event(), threading.Event()

    def stay(*told):
        inside.set()
        leave.wait(PATIENCE)

    def leave_once_it_forks():
        while store.database.pool.lending:
            time.sleep(0.001)
        leave.set()

    with open_store(path, pragmas={"busy_timeout": PATIENCE * 1000 if ends_in_time else 50}) as store:
        made = [create()]
        backing_up = threading.Thread(target=lambda: store.database.backup(path + ".backup", stay))
        backing_up.start()
        inside.wait(PATIENCE)
        leaving = threading.Thread(target=leave_once_it_forks)
        if ends_in_time:
            leaving.start()
        child = forked(create)
        if ends_in_time:
            leaving.join(PATIENCE)
            made.append(child())
        else:
            with pytest.raises(StoreUnavailableError, match="forked"):
                child()
        leave.set()
        backing_up.join(PATIENCE)
        made.append(create())

    assert [key for key, _ in rows(path)] == sorted(made)
    assert [key for key, _ in rows(path + ".backup")] == made[:1]
    assert integrity(path) == "ok"


def test_a_fork_with_a_clock_that_stands_still_ends_though_a_transaction_does_not(path, monkeypatch):
    inside, leave = threading.Event(), threading.Event()

    def transact():
        with store.database.atomic():
            create()
            inside.set()
            leave.wait(PATIENCE)

    with open_store(path, pragmas={"busy_timeout": 50}) as store:
        thread = threading.Thread(target=transact)
        thread.start()
        inside.wait(PATIENCE)
        with monkeypatch.context() as frozen:
            frozen.setattr(time, "monotonic", lambda: 0.0)
            child = forked(create)
        with pytest.raises(StoreUnavailableError, match="forked"):
            child()
        leave.set()
        thread.join(PATIENCE)

    assert len(rows(path)) == 1


@pytest.mark.parametrize("count", [1, 3])
def test_children_in_memory_go_on_with_a_copy_of_what_was_there_and_the_parent_with_its_own(count):
    with open_store(":memory:") as store:
        one = create()
        with store.database.atomic():
            within = create()
            children = [forked(lambda: (create(), list_workloads().total)) for _ in range(count)]
        assert [child()[1] for child in children] == [3] * count
        assert {workload.id for workload in list_workloads().items} == {one, within}
