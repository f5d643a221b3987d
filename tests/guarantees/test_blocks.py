"""Peewee's blocks: what begins and ends them, what they call afterwards, and what interrupts them."""

import contextlib
import gc
import random
import signal
import sqlite3
import sys
import threading
from contextlib import closing

import pytest
from cases import each

from guarantees.processes import PATIENCE, PATIENT, in_threads, rows
from vulcan_store import (
    StoreUnavailableError,
    append_log_lines,
    create_workload,
    create_workloads,
    delete_workload,
    list_workloads,
    open_store,
)
from vulcan_store.testing import make_workload

# What a signal interrupts may be the end of an object, where Python reports what is raised and goes on.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Alarm(Exception):
    pass


def raise_alarm(number, frame):
    raise Alarm


@pytest.fixture
def opened(path):
    with open_store(path, pragmas={"synchronous": "off", "busy_timeout": 0}) as store:
        yield store
    gc.collect()


@pytest.fixture
def alarm(monkeypatch):
    """Calls a function that is interrupted at a random moment; whether it was."""
    # An alarm may strike at the end of an object, which Python reports to this hook; the next one would strike in it.
    monkeypatch.setattr(sys, "unraisablehook", id)
    before = signal.signal(signal.SIGALRM, raise_alarm)
    rng = random.Random(7)

    def interrupted(call, most):
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, most))
                while True:
                    call()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Alarm:
            return True

    yield interrupted
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def empty(database):
    with database.atomic():
        pass


def writing(database):
    with database.transaction():
        database.execute_sql("INSERT INTO numbers VALUES (1)")
        database.execute_sql("INSERT INTO numbers VALUES (1)")


def nested(database):
    with database.atomic():
        database.execute_sql("INSERT INTO numbers VALUES (1)")
        with database.atomic():
            with database.savepoint():
                database.execute_sql("INSERT INTO numbers VALUES (1)")


def decorated(database):
    @database.atomic()
    def insert():
        database.execute_sql("INSERT INTO numbers VALUES (1), (1)")

    insert()


@pytest.mark.parametrize("kind", ["file", "memory"])
@pytest.mark.parametrize("block", [empty, writing, nested, decorated])
def test_an_alarm_at_any_moment_of_a_block_comes_out_as_it_is_and_leaves_nothing_open(path, alarm, effort, block, kind):
    with open_store(path if kind == "file" else ":memory:", pragmas={"synchronous": "off"}) as store:
        database = store.database
        database.execute_sql("CREATE TABLE numbers (number)")

        for _ in range(effort(40, long=5000)):
            assert alarm(lambda: block(database), 4e-4)
            assert not database.in_transaction() and not database.is_transaction_open()
            (count,) = in_threads(1, lambda *_: database.execute_sql("SELECT count(*) FROM numbers").fetchone()[0])
            assert count % 2 == 0


def test_a_block_that_was_interrupted_is_undone_before_its_exception_is_caught(opened, alarm, effort):
    open_then = []

    def look():
        try:
            nested(opened.database)
        except Alarm:
            open_then.append(opened.database.is_transaction_open())
            raise

    opened.database.execute_sql("CREATE TABLE numbers (number)")
    for _ in range(effort(60, long=3000)):
        alarm(look, 3e-4)

    assert open_then and not any(open_then)


def test_the_undoing_of_a_savepoint_that_is_gone_raises_nothing_of_its_own(opened):
    with pytest.raises(ZeroDivisionError):
        with opened.database.atomic():
            with opened.database.atomic():
                opened.database.execute_sql("ROLLBACK")
                raise ZeroDivisionError

    assert not opened.database.in_transaction()
    create_workload(runtime="go")


def test_a_savepoint_outside_of_a_transaction_is_one_by_itself(opened, path):
    with opened.database.savepoint():
        create_workload(runtime="go", id="kept")
    with pytest.raises(ZeroDivisionError):
        with opened.database.savepoint():
            create_workload(runtime="go", id="undone")
            raise ZeroDivisionError

    assert [key for key, _ in rows(path)] == ["kept"]
    assert not opened.database.is_transaction_open()


def test_one_block_is_entered_again_once_it_was_left(opened, path):
    block = opened.database.atomic()

    for number in range(3):
        with block:
            create_workload(runtime="go", id=str(number))
    with contextlib.suppress(ZeroDivisionError), block:
        create_workload(runtime="go", id="undone")
        1 / 0
    with block, opened.database.atomic() as inner:
        create_workload(runtime="go", id="taken back")
        inner.rollback()

    assert [key for key, _ in rows(path)] == ["0", "1", "2"]


@each("kind", ["atomic", "transaction", "savepoint"])
def test_a_block_that_is_entered_again_within_itself_is_refused_and_undone(opened, path, kind):
    block = getattr(opened.database, kind)()

    with pytest.raises(RuntimeError, match="make another one"), block:
        create_workload(runtime="go", id="outer")
        with block:
            pytest.fail("it has not begun")

    assert not opened.database.is_transaction_open()
    with block:
        create_workload(runtime="go", id=kind)
    assert {"outer", kind} & {key for key, _ in rows(path)} == {kind}


def test_threads_may_share_a_block(path):
    def work(barrier, place):
        barrier.wait(PATIENCE)
        with block:
            create_workload(runtime="go", id=f"kept by {place}")
        with pytest.raises(KeyError, match=str(place)), block:
            create_workload(runtime="go", id=f"undone by {place}")
            raise KeyError(place)

    with open_store(path, pragmas=PATIENT) as store:
        block = store.database.atomic()
        in_threads(4, work)

    assert [key for key, _ in rows(path)] == [f"kept by {place}" for place in range(4)]


def test_what_is_whole_is_part_of_a_transaction_that_was_begun_by_hand(opened, path):
    with opened.database.manual_commit():
        opened.database.begin()
        create_workloads({"runtime": "go", "id": key} for key in "ab")
        append_log_lines("a", ["line"])
        delete_workload("a")
        opened.database.commit()
        opened.database.begin()
        delete_workload("b")
        opened.database.rollback()

    assert [key for key, _ in rows(path)] == ["b"]


def test_blocks_work_in_an_exit_stack_and_as_peewees_session(opened, path):
    with contextlib.ExitStack() as stack:
        stack.enter_context(opened.database.atomic())
        create_workload(runtime="go", id="stack")
    assert opened.database.session_commit() is opened.database.session_rollback() is False
    opened.database.session_start()
    create_workload(runtime="go", id="session")
    assert opened.database.session_commit() is True
    gc.collect()
    opened.database.session_start()
    create_workload(runtime="go", id="undone")
    assert opened.database.session_rollback() is True

    assert [key for key, _ in rows(path)] == ["session", "stack"]


@contextlib.contextmanager
def locked_by_another(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_block_that_cannot_begin_says_why_and_the_next_one_begins(opened, path):
    with locked_by_another(path):
        with pytest.raises(StoreUnavailableError, match="for 0 s") as refusal:
            with opened.database.atomic():
                pytest.fail("it has not begun")

    assert refusal.value.__cause__.sqlite_errorname == "SQLITE_BUSY"
    with opened.database.atomic():
        create_workload(runtime="go")


def test_a_lock_that_is_refused_at_once_is_not_said_to_have_been_waited_for(path):
    with open_store(path, pragmas={"busy_timeout": PATIENCE * 1000}) as store:
        with pytest.raises(StoreUnavailableError, match="begin it with IMMEDIATE") as refusal:
            with store.database.atomic("DEFERRED"):
                list_workloads()
                with locked_by_another(path):
                    create_workload(runtime="go")

    assert f"{PATIENCE} s" not in refusal.value.reason


def test_a_commit_after_the_close_says_that_the_store_was_closed(opened):
    inside, closed, raised = threading.Event(), threading.Event(), []

    def transact():
        try:
            with opened.database.atomic():
                make_workload()
                inside.set()
                closed.wait(PATIENCE)
        except StoreUnavailableError as error:
            raised.append(error.reason)

    thread = threading.Thread(target=transact)
    thread.start()
    inside.wait(PATIENCE)
    opened.close()
    closed.set()
    thread.join(PATIENCE)

    assert len(raised) == 1 and "closed" in raised[0]


def test_what_is_to_be_called_after_a_commit_is_not_called_after_a_rollback(opened):
    called = []

    def workloads():
        yield {"runtime": "go"}
        opened.database.after_commit(lambda: called.append("never"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        create_workloads(workloads())
    with opened.database.atomic():
        create_workload(runtime="go")
        opened.database.after_commit(lambda: called.append("committed"))
        assert called == []

    assert called == ["committed"]


def test_what_is_called_after_a_commit_within_a_block_uses_the_store_and_what_it_writes_stays(opened, path):
    totals = []

    def count():
        totals.append(list_workloads().total)
        create_workload(runtime="go", id="by the callback")
        with opened.database.atomic():
            create_workload(runtime="go", id="in a block of its own")

    with pytest.raises(ZeroDivisionError):
        with opened.database.atomic() as transaction:
            create_workload(runtime="go", id="committed")
            opened.database.after_commit(count)
            transaction.commit()
            create_workload(runtime="go", id="undone")
            1 / 0

    assert totals == [1]
    assert [key for key, _ in rows(path)] == ["by the callback", "committed", "in a block of its own"]
