"""A lock that somebody else holds for longer than the store waits."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import pytest

from guarantees.processes import PATIENCE, PATIENT, forked, idle_connection, integrity, rows
from vulcan_store import (
    StoreUnavailableError,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
    update_workload_status,
)

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("DELETE FROM workloads WHERE id = 'nobody'") if len(sys.argv) > 3 else None
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextmanager
def another_process_holds_the_lock(path, begin="BEGIN IMMEDIATE", *write):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, begin, *write], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "locked\n"
    try:
        yield holder
    finally:
        holder.communicate(timeout=PATIENCE)


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
            with closing(sqlite3.connect(path)) as other, other:
                other.execute("CREATE TABLE theirs (id)")
            create_workload(runtime="go")

    assert refusal.value.__cause__.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"
    assert rows(path) == []


def test_readers_do_not_wait_for_a_writer_in_another_process(opened, path):
    create_workload(runtime="go", id="one")

    with another_process_holds_the_lock(path, "BEGIN IMMEDIATE", "write"):
        assert get_workload("one").status == "pending"
        assert list_workloads().total == 1


def test_a_write_waits_for_a_lock_that_is_given_back_in_time(path):
    begun = threading.Event()

    with open_store(path, pragmas=PATIENT) as store:

        def write():
            create_workload(runtime="go", id="patient")

        connection = idle_connection(store)
        connection.set_trace_callback(lambda sql: begun.set())
        with another_process_holds_the_lock(path) as holder:
            writer = threading.Thread(target=write)
            writer.start()
            assert begun.wait(PATIENCE)
            holder.communicate(timeout=PATIENCE)
            writer.join(PATIENCE)

        assert rows(path) == [("patient", "pending")]


def test_a_lock_that_a_thread_of_the_same_process_holds_is_named_as_well(opened, path):
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with opened.database.atomic():
            create_workload(runtime="go", id="theirs")
            inside.set()
            leave.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(PATIENCE)
    with pytest.raises(StoreUnavailableError) as caught:
        create_workload(runtime="go", id="mine")
    leave.set()
    holder.join(PATIENCE)

    assert_says_locked(caught.value, path)
    assert [key for key, _ in rows(path)] == ["theirs"]
    assert create_workload(runtime="go", id="mine").id == "mine"


def test_a_lock_on_the_whole_of_a_new_file_makes_opening_fail_and_the_next_one_succeed(path, tmp_path):
    with open_store(tmp_path / "first.db"):
        with another_process_holds_the_lock(path, "BEGIN EXCLUSIVE"):
            with pytest.raises(StoreUnavailableError) as caught:
                open_store(path, pragmas={"busy_timeout": 50})
            create_workload(runtime="go", id="in the first")

        assert_says_locked(caught.value, path)
        assert [key for key, _ in rows(tmp_path / "first.db")] == ["in the first"]
        with open_store(path):
            create_workload(runtime="go", id="in the second")
    assert [key for key, _ in rows(path)] == ["in the second"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("begin", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_an_opening_that_waits_counts_its_waiting_and_keeps_no_other_opening_and_no_fork_waiting(path, tmp_path, begin):
    refused, spans = [], []

    def open_it():
        with pytest.raises(StoreUnavailableError) as caught:
            open_store(path, current=False, pragmas={"busy_timeout": 1000})
        refused.append(caught.value)

    with another_process_holds_the_lock(path, begin):
        thread = threading.Thread(target=open_it)
        began = time.monotonic()
        thread.start()
        while thread.is_alive() and time.monotonic() - began < 20:
            start = time.monotonic()
            with open_store(tmp_path / "other.db"):
                assert forked(lambda: list_workloads().total)() == 0
            spans.append(time.monotonic() - start)
        waited = time.monotonic() - began
    thread.join(PATIENCE)

    assert "locked: for 1 s" in refused[0].reason
    assert 1 <= waited < 4 and max(spans) < 0.9 and len(spans) > 3


def test_a_process_that_reads_all_the_while_hinders_no_writer_and_no_closing(path):
    store = open_store(path, pragmas={"busy_timeout": 50})
    create_workload(runtime="go", id="one")

    with another_process_holds_the_lock(path, "BEGIN") as holder:
        create_workload(runtime="go", id="two")
        store.close()
        assert holder.poll() is None

    assert [key for key, _ in rows(path)] == ["one", "two"]
    assert integrity(path) == "ok"
