"""A lock that somebody else holds for longer than the store waits."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from files import run_sql

from guarantees.processes import PATIENCE, PATIENT, context, forked, idle_connection, in_threads, integrity, rows
from vulcan_store import (
    StoreUnavailableError,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
    update_workload_status,
)


def hold(pipe, path, begin):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(begin)
    connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()
    pipe.send("locked")
    pipe.recv()
    connection.execute("ROLLBACK")


@contextmanager
def another_process_holds_the_lock(path, begin="BEGIN IMMEDIATE"):
    ours, theirs = context.Pipe()
    holder = context.Process(target=hold, args=(theirs, path, begin), daemon=True)
    holder.start()

    def give_back():
        ours.send("enough")
        holder.join(PATIENCE)

    try:
        assert ours.poll(PATIENCE) and ours.recv() == "locked"
        yield give_back
    finally:
        if holder.is_alive():
            give_back()


@pytest.fixture
def opened(path):
    with open_store(path, pragmas={"busy_timeout": 50}) as store:
        yield store


def assert_says_locked(error, path):
    assert error.target == path
    assert "locked" in error.reason and "process" in error.reason and "thread" in error.reason
    assert "0.05 s" in error.reason
    assert isinstance(error.__cause__, sqlite3.OperationalError)
    assert error.__cause__.sqlite_errorname == "SQLITE_BUSY"


@pytest.mark.parametrize(
    "call",
    [
        lambda one: create_workload(runtime="go", id="new"),
        lambda one: update_workload_status(one, "running"),
        lambda one: update_workload(one, status="completed", output=b"result"),
    ],
    ids=["create", "update status", "update"],
)
def test_a_write_that_waits_too_long_says_why_has_written_nothing_and_succeeds_later(opened, path, call):
    one = create_workload(runtime="go", id="one").id
    before = rows(path, "*")

    with another_process_holds_the_lock(path):
        with pytest.raises(StoreUnavailableError) as caught:
            call(one)
        assert rows(path, "*") == before
        assert get_workload(one).status == "pending"

    assert_says_locked(caught.value, path)
    assert rows(path, "*") == before
    call(one)
    assert rows(path, "*") != before


def test_a_transaction_that_began_to_read_before_others_wrote_is_told_how_to_begin(opened, path):
    with pytest.raises(StoreUnavailableError, match="begin it with IMMEDIATE") as refusal:
        with opened.database.atomic("DEFERRED"):
            list_workloads()
            run_sql(path, "CREATE TABLE theirs (id)")
            create_workload(runtime="go")

    assert refusal.value.__cause__.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"
    assert rows(path) == []


def test_readers_and_an_opening_do_not_wait_for_a_writer_but_one_that_lacks_an_index_does(opened, path):
    create_workload(runtime="go", id="one")

    with another_process_holds_the_lock(path):
        assert get_workload("one").status == "pending"
        open_store(path, pragmas={"busy_timeout": 50}).close()
    run_sql(path, "DROP INDEX idx_log_lines_workload")
    with another_process_holds_the_lock(path), pytest.raises(StoreUnavailableError, match="is locked"):
        open_store(path, pragmas={"busy_timeout": 50})


def test_a_write_waits_for_a_lock_that_is_given_back_in_time(path):
    begun = threading.Event()

    with open_store(path, pragmas=PATIENT) as store:
        idle_connection(store).set_trace_callback(lambda sql: begun.set())
        with another_process_holds_the_lock(path) as give_back, ThreadPoolExecutor() as threads:
            written = threads.submit(create_workload, runtime="go", id="patient")
            assert begun.wait(PATIENCE)
            give_back()
            written.result(PATIENCE)

        assert rows(path) == [("patient", "pending")]


def test_a_lock_that_a_thread_of_the_same_process_holds_is_named_as_well(opened, path):
    with opened.database.atomic():
        create_workload(runtime="go", id="theirs")
        with pytest.raises(StoreUnavailableError) as caught:
            in_threads(1, lambda barrier, place: create_workload(runtime="go", id="mine"))

    assert_says_locked(caught.value, path)
    assert [key for key, _ in rows(path)] == ["theirs"]
    assert create_workload(runtime="go", id="mine").id == "mine"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("begin", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_an_opening_that_waits_counts_its_waiting_and_keeps_no_other_opening_and_no_fork_waiting(
    path, tmp_path, monkeypatch, begin
):
    waits, go_on, slept, refused, sleep = threading.Event(), threading.Event(), [], [], time.sleep

    def open_it():
        with pytest.raises(StoreUnavailableError) as caught:
            open_store(path, current=False, pragmas={"busy_timeout": 1000})
        refused.append(caught.value)

    def nap(seconds):
        if threading.current_thread() is not thread:
            sleep(seconds)
            return
        slept.append(seconds)
        waits.set()
        go_on.wait(PATIENCE)

    thread = threading.Thread(target=open_it)
    with another_process_holds_the_lock(path, begin):
        monkeypatch.setattr(time, "sleep", nap)
        thread.start()
        assert waits.wait(PATIENCE)
        with open_store(tmp_path / "other.db"):
            assert forked(lambda: list_workloads().total)() == 0
        assert not refused
        go_on.set()
        thread.join(PATIENCE)

    assert "locked: for 1 s" in refused[0].reason
    assert sum(slept) == pytest.approx(1)
    open_store(path).close()


def test_a_process_that_reads_all_the_while_hinders_no_writer_and_no_closing(path):
    store = open_store(path, pragmas={"busy_timeout": 50})
    create_workload(runtime="go", id="one")

    with another_process_holds_the_lock(path, "BEGIN"):
        create_workload(runtime="go", id="two")
        store.close()

    assert [key for key, _ in rows(path)] == ["one", "two"]
    assert integrity(path) == "ok"
