"""One store that many threads use, and that one of them closes."""

import gc
import os
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from guarantees.processes import (
    HURRIED,
    PATIENCE,
    PATIENT,
    descriptors,
    idle_connection,
    in_threads,
    integrity,
    rows,
    transaction_elsewhere,
)
from vulcan_store import (
    StoreUnavailableError,
    close_store,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
    update_workload_status,
)


POLL = 0.001
"""Seconds that a closing sleeps between two looks."""


@pytest.fixture(params=["memory", "file"])
def opened(request, path):
    with open_store(":memory:" if request.param == "memory" else path, pragmas=PATIENT) as store:
        yield store


@pytest.fixture
def short_turns():
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def assert_one_file(path):
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


def create_update_and_list(barrier, place, times):
    made = []
    barrier.wait(PATIENCE)
    for _ in range(times):
        workload = create_workload(runtime="wasm", node_id=f"node {place}")
        update_workload_status(workload.id, "running")
        update_workload(workload.id, status="completed", output=b"done", exit_code=place)
        assert list_workloads(1, node_id=f"node {place}").items[0].id == workload.id
        made.append(workload.id)
    return made


def test_sixteen_threads_that_create_update_and_list_at_once_lose_nothing(opened, effort):
    made = in_threads(16, create_update_and_list, effort(3, long=25))

    stored = list_workloads(1000).items
    assert sorted(workload.id for workload in stored) == sorted(key for ids in made for key in ids)
    assert {(workload.status, workload.output) for workload in stored} == {("completed", b"done")}
    assert all(workload.node_id == f"node {workload.exit_code}" for workload in stored)
    assert all(ids == sorted(ids) for ids in made)


def test_sixteen_threads_that_read_and_then_write_in_transactions_of_their_own_overwrite_nothing(opened, effort):
    times = effort(4, long=25)
    counter = create_workload(runtime="go", exit_code=0).id

    def add_one_often(barrier, place):
        barrier.wait(PATIENCE)
        for _ in range(times):
            with opened.database.atomic():
                update_workload(counter, exit_code=get_workload(counter).exit_code + 1)

    in_threads(16, add_one_often)

    assert get_workload(counter).exit_code == 16 * times


def test_no_connection_is_in_two_threads_hands_at_once(opened, effort, short_turns):
    users, shared = {}, []

    def use():
        connection, me = opened.database.connection(), threading.get_ident()
        if users.setdefault(id(connection), me) != me:
            shared.append(connection)
        "".join(map(str, range(20)))
        users.pop(id(connection), None)

    def use_often(barrier, place):
        barrier.wait(PATIENCE)
        for _ in range(effort(60, long=2_000)):
            opened.database.execute_sql("SELECT use()")

    opened.database.register_function(use, "use", 0)
    in_threads(8, use_often)

    assert not shared


def test_what_is_registered_beside_the_calls_of_others_reaches_each_of_them(opened, effort, short_turns):
    newest = [0]

    def work(barrier, place):
        barrier.wait(PATIENCE)
        while newest[-1] < effort(30, long=300):
            if not place:
                opened.database.register_function(lambda: 1, f"number_{len(newest)}", 0)
                newest.append(len(newest))
            elif newest[-1]:
                opened.database.execute_sql(f"SELECT number_{newest[-1]}()")

    in_threads(6, work)


def test_what_many_calls_at_once_have_opened_does_not_all_stay_open(path):
    together = threading.Barrier(24)
    with open_store(path) as store, ThreadPoolExecutor(24) as threads:
        store.database.register_function(lambda: together.wait(PATIENCE), "meet", 0)
        for _ in range(2):  # the threads stay, and each has a connection while it is in its call
            for call in [threads.submit(store.database.execute_sql, "SELECT meet()") for _ in range(24)]:
                call.result(PATIENCE)
        # Of the file itself SQLite keeps descriptors for later connections, of the -wal none.
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        assert sum(os.path.exists(link) and os.path.samefile(link, f"{path}-wal") for link in links) <= 16


def test_a_call_that_outlasts_the_closing_ends_well_and_its_connection_with_it(path):
    inside, go_on = threading.Event(), threading.Event()
    with ThreadPoolExecutor() as threads:
        store = open_store(path, pragmas={"busy_timeout": 0})
        store.database.register_function(lambda: inside.set() or go_on.wait(PATIENCE), "hold", 0)
        holding = threads.submit(lambda: store.database.execute_sql("SELECT hold()").fetchall())
        assert inside.wait(PATIENCE)
        store.close()
        go_on.set()
        assert holding.result(PATIENCE) == [(1,)]
        assert_one_file(path)


def test_closing_waits_for_a_call_that_is_just_opening_its_connection(path, monkeypatch):
    inside, go_on, sleep, slept = threading.Event(), threading.Event(), time.sleep, Counter()
    monkeypatch.setattr(time, "sleep", lambda seconds: slept.update([seconds]) or sleep(seconds))
    store = open_store(path, pragmas={**PATIENT, "journal_mode": "delete"})
    store.database.register_function(lambda: inside.set() or go_on.wait(PATIENCE), "hold", 0)

    with ThreadPoolExecutor() as threads, closing(sqlite3.connect(path, isolation_level=None)) as other:
        holding = threads.submit(lambda: store.database.execute_sql("SELECT hold()").fetchall())
        assert inside.wait(PATIENCE)
        other.execute("BEGIN EXCLUSIVE")
        listing = threads.submit(list_workloads)
        while not slept:  # until the opening waits
            sleep(0.001)
        closer = threads.submit(store.close)
        go_on.set()
        assert holding.result(PATIENCE) == [(1,)]
        polled = slept[POLL]
        while slept[POLL] < polled + 3 and not closer.done():
            sleep(0.001)
        other.execute("ROLLBACK")

        assert listing.result(PATIENCE).total == 0
        closer.result(PATIENCE)


def test_a_block_within_a_transaction_of_ones_own_words_is_a_part_of_it(opened):
    opened.database.execute_sql("BEGIN")
    create_workload(runtime="go", id="kept")
    with pytest.raises(ZeroDivisionError), opened.database.atomic():
        create_workload(runtime="go", id="lost")
        raise ZeroDivisionError
    with opened.database.atomic():
        create_workload(runtime="go", id="kept too")
    opened.database.execute_sql("COMMIT")

    assert {workload.id for workload in list_workloads().items} == {"kept", "kept too"}


def test_threads_one_after_another_leave_no_connection_behind(opened):
    before = descriptors()
    gc.disable()

    for _ in range(60):
        in_threads(1, lambda barrier, place: create_workload(runtime="go"))

    gc.enable()
    assert descriptors() < before + 30
    assert list_workloads(0).total == 60


def test_closing_from_the_main_thread_leaves_one_file_while_other_threads_still_live(path):
    closed, written = threading.Event(), threading.Barrier(9)

    def write_and_stay(barrier, place):
        create_workload(runtime="go")
        written.wait(PATIENCE)
        closed.wait(PATIENCE)
        with pytest.raises(StoreUnavailableError):
            create_workload(runtime="go")

    store = open_store(path)
    with ThreadPoolExecutor() as threads:
        staying = threads.submit(in_threads, 8, write_and_stay)
        written.wait(PATIENCE)
        assert os.path.exists(path + "-wal")

        close_store()

        assert_one_file(path)
        closed.set()
        staying.result(PATIENCE)
    assert repr(store) == f"<Store {path!r}, closed>"
    assert_one_file(path)


def test_closing_while_other_threads_end_leaves_one_file(path, effort):
    def write_and_end(barrier):
        create_workload(runtime="go")
        barrier.wait(PATIENCE)

    for _ in range(effort(4, long=300)):
        store = open_store(path, pragmas=HURRIED)
        barrier = threading.Barrier(5)
        threads = [threading.Thread(target=write_and_end, args=(barrier,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        barrier.wait(PATIENCE)
        store.close()
        for thread in threads:
            thread.join(PATIENCE)
        assert_one_file(path)


def test_closing_in_the_middle_of_the_calls_of_other_threads_breaks_none_of_them(path, effort):
    acknowledged, started = [], threading.Barrier(7)

    def write_until_closed(barrier, place):
        acknowledged.append(create_workload(runtime="go").id)
        started.wait(PATIENCE)
        with pytest.raises(StoreUnavailableError):
            while True:
                acknowledged.append(create_workload(runtime="go").id)
                list_workloads(5)

    for _ in range(effort(3, long=30)):
        store = open_store(path)
        with ThreadPoolExecutor() as threads:
            writing = threads.submit(in_threads, 6, write_until_closed)
            started.wait(PATIENCE)
            store.close()
            writing.result(PATIENCE)
        assert_one_file(path)

    assert [key for key, _ in rows(path)] == sorted(acknowledged)
    assert integrity(path) == "ok"


def test_closing_undoes_another_threads_transaction_that_does_not_end_and_says_so(path):
    store = open_store(path, pragmas={"busy_timeout": 50})
    with transaction_elsewhere(store) as (leave, transacting):
        store.close()
        with open_store(path, pragmas={"busy_timeout": 0}):
            create_workload(runtime="go", id="next")
        with pytest.raises(StoreUnavailableError):
            leave.set()
            transacting.result(PATIENCE)

    assert rows(path) == [("next", "pending")]


def test_closing_waits_for_another_threads_transaction_which_goes_on_while_others_are_refused(path):
    def call_until_refused():
        with pytest.raises(StoreUnavailableError, match="it was closed"):
            while True:
                store.list_workloads(1)
        leave.set()

    store = open_store(path, pragmas=PATIENT)
    with transaction_elsewhere(store) as (leave, transacting), ThreadPoolExecutor() as threads:
        calling = threads.submit(call_until_refused)

        store.close()
        calling.result(PATIENCE)

    assert [key for key, _ in rows(path)] == ["theirs", "theirs too"]
    assert_one_file(path)


def test_closing_within_a_transaction_undoes_it_says_so_and_keeps_nobody_waiting(path):
    began = threading.Event()
    store = open_store(path)

    with ThreadPoolExecutor() as threads:
        with pytest.raises(StoreUnavailableError, match="rolled back"), store.database.atomic():
            create_workload(runtime="go", id="mine")
            (connection,) = in_threads(1, lambda barrier, place: idle_connection(store))
            connection.set_trace_callback(lambda sql: began.set())
            writing = threads.submit(create_workload, runtime="go", id="theirs")
            began.wait(PATIENCE)
            store.close()
        writing.result(PATIENCE)

    assert rows(path) == [("theirs", "pending")]
    store.close()


@pytest.mark.parametrize("raised", [ZeroDivisionError, StoreUnavailableError])
def test_a_store_left_within_a_transaction_says_so_unless_an_error_is_on_its_way(path, raised):
    with pytest.raises(raised):
        with open_store(path) as store:
            store.database.atomic().__enter__()
            create_workload(runtime="go")
            if raised is ZeroDivisionError:
                raise ZeroDivisionError

    assert rows(path) == []


def test_an_error_within_a_transaction_is_seen_though_the_store_was_closed_meanwhile(path):
    store = open_store(path)

    with pytest.raises(ZeroDivisionError):
        with store.database.atomic():
            create_workload(runtime="go")
            with pytest.raises(StoreUnavailableError, match="rolled back"):
                store.close()
            raise ZeroDivisionError

    assert rows(path) == []


def test_closing_that_was_interrupted_can_be_done_again(path):
    def interrupt(number, frame):
        raise KeyboardInterrupt

    def signal_once_it_closes():
        with pytest.raises(StoreUnavailableError):
            while True:
                store.list_workloads(0)
        os.kill(os.getpid(), signal.SIGUSR1)

    store = open_store(path, pragmas=PATIENT)
    before = signal.signal(signal.SIGUSR1, interrupt)
    with transaction_elsewhere(store) as (leave, transacting), ThreadPoolExecutor() as threads:
        threads.submit(signal_once_it_closes)
        with pytest.raises(KeyboardInterrupt):
            store.close()
        signal.signal(signal.SIGUSR1, before)
        leave.set()
        transacting.result(PATIENCE)

        store.close()

    assert_one_file(path)


def test_closing_with_a_query_half_read_leaves_one_file(path):
    store = open_store(path)
    create_workload(runtime="go")
    half_read = store.iter_workloads(), store.database.execute_sql("SELECT 1 UNION SELECT 2")
    for rest in half_read:
        next(rest)
    store.close()

    assert_one_file(path)
