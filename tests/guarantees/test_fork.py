"""Children of a process that has a store open, whatever its threads are in the middle of."""

import multiprocessing
import os
import sqlite3
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest

from guarantees.processes import (
    PATIENCE,
    PATIENT,
    descriptors,
    forked,
    in_threads,
    integrity,
    rows,
    run,
    transaction_elsewhere,
)
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

fork = multiprocessing.get_context("fork")
at_fork = []
os.register_at_fork(before=lambda: [act() for act in at_fork])


def create(count=1):
    return [create_workload(runtime="go").id for _ in range(count)]


def create_one(place=None):
    return create()[0]


@contextmanager
def once_a_fork_begins(act):
    """Call a function when this process begins to fork, before the store hears of it."""
    at_fork.append(act)
    yield
    at_fork.clear()


def assert_sound(path, ids):
    assert [key for key, _ in rows(path)] == sorted(ids)
    assert integrity(path) == "ok"


@pytest.fixture
def busy(path):
    """An open store and two threads that write all the while; once they have ended, what they have made."""
    stop, made = threading.Event(), [[], []]

    def write(barrier, place):
        while not stop.is_set():
            with store.database.atomic():
                mine = create(2)
            made[place].extend(mine + create())
            update_workload_status(mine[0], "running")
            list_workloads(200)

    def ended():
        stop.set()
        writing.result(PATIENCE)
        return made[0] + made[1]

    with open_store(path, pragmas=PATIENT) as store, ThreadPoolExecutor() as threads:
        writing = threads.submit(in_threads, 2, write)
        yield ended
        stop.set()


def test_children_write_at_once_while_threads_of_the_parent_write(path, busy, effort):
    def fork_often(barrier, place):
        barrier.wait(PATIENCE)
        return [key for _ in range(effort(2, long=10)) for key in forked(create, 4)()]

    theirs = in_threads(3, fork_often)

    assert_sound(path, busy() + sum(theirs, []))


def test_what_multiprocessing_forks_writes_while_threads_of_the_parent_write(path, busy):
    processes = [fork.Process(target=create_one) for _ in range(4)]
    for process in processes:
        process.start()
    with fork.Pool(2, maxtasksperchild=3) as pool:
        theirs = pool.map_async(create_one, range(8), chunksize=1).get(PATIENCE)
    with ProcessPoolExecutor(2, mp_context=fork) as executor:
        theirs += executor.map(create_one, range(8), timeout=PATIENCE)
    for process in processes:
        process.join(PATIENCE)

    assert [process.exitcode for process in processes] == [0] * 4
    made = busy() + theirs
    assert len(rows(path)) == len(made) + 4
    assert set(made) <= {key for key, _ in rows(path)}
    assert integrity(path) == "ok"


def test_a_fork_waits_for_another_threads_transaction_to_end_and_the_child_writes_at_once(path):
    with open_store(path, pragmas=PATIENT) as store, transaction_elsewhere(store) as (leave, transacting):
        with once_a_fork_begins(leave.set):
            theirs = forked(create, 3)()
        transacting.result(PATIENCE)

    assert_sound(path, ["theirs", "theirs too", *theirs])


def assert_told(child, path):
    with pytest.raises(StoreUnavailableError, match="was forked") as caught:
        child()
    assert caught.value.target == path


def test_a_child_of_a_fork_in_another_threads_endless_transaction_is_told_so_and_the_transaction_is_sound(
    path, monkeypatch
):
    with open_store(path, pragmas={"busy_timeout": 100}) as store:
        with transaction_elsewhere(store) as (leave, transacting):
            with monkeypatch.context() as frozen:  # as libraries for tests freeze the clock
                frozen.setattr(time, "monotonic", lambda: 0.0)
                child = forked(create)
            assert_told(child, path)
            leave.set()
            transacting.result(PATIENCE)

    assert_sound(path, ["theirs", "theirs too"])


def test_a_child_of_a_fork_inside_a_transaction_of_its_own_thread_is_told_so_and_the_transaction_is_sound(path):
    with open_store(path) as store:
        with store.database.atomic():
            made = create()
            assert_told(forked(create), path)
            assert_told(forked(lambda: forked(create)()), path)
            forked(store.close)()
            made += create()
        made += create()

    assert_sound(path, made)


def test_a_fork_waits_for_a_backup(path, monkeypatch):
    inside, leave = threading.Event(), threading.Event()

    class Slow(sqlite3.Connection):
        def backup(self, copy):
            inside.set()
            leave.wait(PATIENCE)
            super().backup(copy)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Slow))
    with open_store(path, pragmas=PATIENT) as store, ThreadPoolExecutor() as threads:
        made = create()
        backing_up = threads.submit(store.backup_store, path + ".backup")
        inside.wait(PATIENCE)
        with once_a_fork_begins(leave.set):
            child = forked(create)
        made += child()
        backing_up.result(PATIENCE)

    assert_sound(path, made)
    assert [key for key, _ in rows(path + ".backup")] == made[:1]


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
print(create_workload(runtime="go").id, flush=True)
os.read(reading, 1)
print(create_workload(runtime="go").id, flush=True)
""",
        path,
    )

    made = done.stdout.split()
    assert len(made) == 3
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


def test_the_children_of_a_child_and_its_threads_write_and_leave_no_descriptors_in_the_parent(path, effort):
    def work():
        return create() + forked(lambda: create() + forked(create)())() + in_threads(4, lambda *_: create_one())

    with open_store(path):
        made = forked(work)() + create()
        before = descriptors()
        for _ in range(effort(2, long=30)):
            made += forked(work)() + create()
        assert descriptors() == before

    assert_sound(path, made)


def test_what_a_hook_asks_of_the_store_just_before_a_fork_is_refused_and_the_fork_goes_on(path):
    done = run(
        """
import os, sys
def ask():
    try:
        print(list_workloads().total)
    except StoreUnavailableError as error:
        print(error.reason)
os.register_at_fork(before=ask)
from vulcan_store import StoreUnavailableError, list_workloads, open_store
with open_store(sys.argv[1]):
    if not os.fork():
        os._exit(0)
    print(list_workloads().total)
""",
        path,
    )

    refusal, total = done.stdout.splitlines()
    assert "about to fork" in refusal and total == "0"


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


def test_what_a_child_writes_into_a_file_attached_to_a_store_in_memory_stays(path):
    def add(name):
        store.create_workload(id=name, runtime="go")
        store.database.execute_sql("INSERT INTO other.workloads SELECT * FROM workloads WHERE id = ?", (name,))

    def work():
        add("the child's")
        go_on.wait(PATIENCE)
        add("the child's, later")

    open_store(path).close()
    go_on = multiprocessing.get_context("fork").Event()
    store = open_store(":memory:")
    store.database.attach(path, "other")
    add("the parent's")
    child = forked(work)
    store.close()
    go_on.set()
    child()

    assert [key for key, _ in rows(path)] == ["the child's", "the child's, later", "the parent's"]


def test_a_child_works_on_its_own_copy_of_a_store_in_memory():
    def work():
        create(2)
        update_workload_status(one, "running")
        return get_workload(one).status, list_workloads().total

    with open_store(":memory:", pragmas={"busy_timeout": 100}) as store:
        one = create_one()
        with store.database.atomic():
            within = create_one()
            assert forked(work)() == ("running", 4)
        with transaction_elsewhere(store):
            child = forked(lambda: (work(), in_threads(1, lambda *_: list_workloads().total)))
        assert child() == (("running", 4), [4])

        assert get_workload(one).status == "pending"
        assert {workload.id for workload in list_workloads().items} == {one, within, "theirs", "theirs too"}


@pytest.mark.parametrize("behind", [0, 3_600])
def test_parent_and_children_never_make_the_same_id_though_the_clock_stands_still_or_was_set_back(monkeypatch, behind):
    with open_store(":memory:"):
        made = create()
        monkeypatch.setattr(time, "time_ns", lambda moment=time.time_ns() - behind * 10**9: moment)
        children = [forked(create, 100) for _ in range(4)]
        made += create(100) + [key for child in children for key in child()]

    assert len(set(made)) == 501
