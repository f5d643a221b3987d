"""Children of a process that has a store open, whatever its threads are in the middle of."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager

import pytest

from guarantees.processes import PATIENCE, PATIENT, forked, in_threads, integrity, rows, run
from vulcan_store import (
    StoreUnavailableError,
    Workload,
    close_store,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload_status,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

at_fork = []
os.register_at_fork(before=lambda: [act() for act in at_fork])


def create(count=1):
    return [create_workload(runtime="go").id for _ in range(count)]


@contextmanager
def thread(work):
    running = threading.Thread(target=work, daemon=True)
    running.start()
    yield
    running.join(PATIENCE)
    assert not running.is_alive(), "a thread hangs"


@contextmanager
def forking_begins():
    """An event that is set when this process begins to fork, before the store hears of it."""
    event = threading.Event()
    at_fork.append(event.set)
    yield event
    at_fork.clear()


def assert_sound(path, ids):
    assert sorted(key for key, _ in rows(path)) == sorted(ids)
    assert integrity(path) == "ok"


def test_children_write_at_once_while_threads_of_the_parent_write(path, effort):
    count = effort(6, long=25)
    stop, made = threading.Event(), [create(0) for _ in range(4)]

    def call():
        while not stop.is_set():
            made[0].extend(create())
            update_workload_status(made[0][-1], "running")
            list_workloads(200)

    def transact(place):
        while not stop.is_set():
            with store.database.atomic():
                mine = create(2)
                list_workloads(3)
            made[place].extend(mine)
            list_workloads(200)

    with open_store(path, pragmas=PATIENT) as store:
        with thread(call), thread(lambda: transact(1)), thread(lambda: transact(2)):
            children = [forked(create, 4) for _ in range(count)]
            made[3].extend(key for answer in children for key in answer())
            stop.set()

    assert len(made[3]) == 4 * count
    assert_sound(path, [key for ids in made for key in ids])


def test_a_child_writes_at_once_after_a_fork_in_the_middle_of_another_threads_transaction(path):
    made, inside = [], threading.Event()

    def transact():
        with store.database.atomic():
            made.extend(create())
            inside.set()
            forking.wait(PATIENCE)
            made.extend(create())

    with open_store(path) as store, forking_begins() as forking:
        with thread(transact):
            inside.wait(PATIENCE)
            theirs = forked(create, 3)()

    assert_sound(path, made + theirs)


def test_a_child_of_a_fork_in_another_threads_endless_transaction_is_told_so_and_the_transaction_is_sound(path):
    made, inside, leave = [], threading.Event(), threading.Event()

    def transact():
        with store.database.atomic():
            made.extend(create())
            inside.set()
            leave.wait(PATIENCE)
            made.extend(create())

    with open_store(path, pragmas={"busy_timeout": 100}) as store:
        with thread(transact):
            inside.wait(PATIENCE)
            child = forked(create)
            with pytest.raises(StoreUnavailableError) as caught:
                child()
            leave.set()

    assert "was forked" in caught.value.reason
    assert_sound(path, made)


def test_a_child_of_a_fork_inside_a_transaction_of_its_own_thread_is_told_so_and_the_transaction_is_sound(path):
    with open_store(path) as store:
        with store.database.atomic():
            made = create()
            child = forked(create)
            with pytest.raises(StoreUnavailableError) as caught:
                child()
            made += create()
        made += create()

    assert caught.value.target == path
    assert "was forked" in caught.value.reason
    assert_sound(path, made)


def test_a_child_that_leaves_its_parents_transaction_early_does_not_end_it(path):
    def leave():
        store.close()

    with open_store(path) as store:
        with store.database.atomic():
            made = create()
            forked(leave)()
            made += create()

    assert_sound(path, made)


def test_what_a_child_writes_stays_when_the_parent_closes_right_after_the_fork(path):
    reading, writing = os.pipe()

    def write_before_and_after():
        os.close(writing)
        ids = create(3)
        os.read(reading, 1)
        return ids + create(3)

    store = open_store(path)
    made = create(3)
    child = forked(write_before_and_after)
    store.close()
    os.close(writing)
    made += child()
    os.close(reading)

    assert_sound(path, made)
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    with open_store(path):
        assert list_workloads().total == 9


def test_what_a_child_writes_stays_when_the_parent_exits_right_after_the_fork(path):
    done = run(
        """
import os, sys
from vulcan_store import create_workload, open_store
open_store(sys.argv[1])
print(create_workload(runtime="go").id, flush=True)
reading, writing = os.pipe()
if os.fork():
    sys.exit()
os.close(writing)
for _ in range(3):
    print(create_workload(runtime="go").id, flush=True)
os.read(reading, 1)
for _ in range(3):
    print(create_workload(runtime="go").id, flush=True)
""",
        path,
    )

    made = done.stdout.split()
    assert len(made) == 7
    assert_sound(path, made)


def test_what_the_parent_writes_stays_when_the_child_closes_and_exits(path):
    with open_store(path) as store:
        made = create(3)
        made += forked(lambda: (create(2), store.close())[0])()
        made += create(3)
        made += forked(lambda: (close_store(), open_store(path), create(2))[2])()
        made += create(3)

        assert list_workloads().total == 13

    assert_sound(path, made)


def test_a_child_of_a_child_writes_as_well(path):
    with open_store(path):
        made = create()
        made += forked(lambda: create() + forked(lambda: create() + forked(create)())() + create())()
        made += create()

    assert_sound(path, made)


def test_the_threads_of_a_child_write(path):
    with open_store(path):
        made = in_threads(2, lambda barrier, place: create()[0])
        made += forked(lambda: in_threads(4, lambda barrier, place: create()[0]))()
        made += create()

    assert_sound(path, made)


def test_every_store_that_is_open_at_a_fork_serves_the_child(tmp_path):
    first, second = str(tmp_path / "first.db"), str(tmp_path / "second.db")

    def use_both():
        ids = create(2)
        inner.close()
        return ids, create(2)

    with open_store(first), open_store(second) as inner:
        in_second, in_first = forked(use_both)()
        in_second += create()

    assert_sound(first, in_first)
    assert_sound(second, in_second)


def test_a_query_that_the_parent_reads_row_by_row_goes_on_after_a_fork(path):
    with open_store(path):
        made = create(50)
        seen = []
        for workload in Workload.select().order_by(Workload.id).iterator():
            seen.append(workload.id)
            if len(seen) in (1, 25):
                made += forked(create)() + create()

    assert [key for key in seen if key in made[:50]] == made[:50]
    assert_sound(path, made)


def test_a_child_works_on_its_own_copy_of_a_store_in_memory():
    def work():
        ids = create(2)
        update_workload_status(made[0], "running")
        return ids, get_workload(made[0]).status, list_workloads().total, in_threads(1, lambda *_: create())[0]

    with open_store(":memory:"):
        made = create(3)
        theirs, status, total, more = forked(work)()

        assert (status, total, len(theirs + more)) == ("running", 5, 3)
        assert get_workload(made[0]).status == "pending"
        assert list_workloads().total == 3
        assert len(create()) == 1


def test_parent_and_children_never_make_the_same_id_though_the_clock_stands_still(monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda moment=time.time_ns(): moment)
    with open_store(":memory:"):
        made = create()
        children = [forked(create, 500) for _ in range(6)]
        made += create(500) + [key for child in children for key in child()]

    assert len(set(made)) == 3501
