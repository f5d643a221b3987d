"""Every public function, interrupted at every moment at which Python hears of a signal."""

import contextlib
import gc
import itertools
import os
import random
import signal
import sqlite3
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cases import each

from guarantees.processes import HURRIED, PATIENCE, integrity, signalled
from vulcan_store import (
    WaitTimeoutError,
    Workload,
    WorkloadNotFoundError,
    append_log_lines,
    backup_store,
    claim_workload,
    create_workload,
    create_workloads,
    delete_workload,
    get_workload,
    iter_workloads,
    list_log_lines,
    list_workloads,
    open_store,
    purge_workloads,
    release_workloads,
    restore_store,
    update_workload,
    update_workload_status,
    wait_workload,
    workload_stats,
)
from vulcan_store.current import CURRENT

# What a signal interrupts may be the end of an object, where Python reports what is raised and goes on.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

COUNT = "SELECT (SELECT COUNT(*) FROM workloads), (SELECT COUNT(*) FROM log_lines)"
LATE = datetime(9000, 1, 1, tzinfo=UTC)


class Alarm(Exception):
    pass


def raise_alarm(number, frame):
    raise Alarm


def create():
    create_workload(runtime="go", output=b"result")


def create_by_model():
    Workload.create(runtime="go", output=b"result")


def create_many():
    create_workloads({"runtime": "go", "output": b"result"} for _ in range(2))


def transact():
    with CURRENT.database.atomic():
        create()
        with CURRENT.database.atomic():
            create()


def get():
    get_workload("one")


def iterate():
    list(iter_workloads())


def set_status():
    update_workload_status("one", "pending")


def update():
    update_workload("one", status="running", node_id="n", output=b"result")


def claim():
    claim_workload("n")


def claim_waiting():
    claim_workload("n", runtime="oci", wait=0.001)


def release():
    release_workloads(node_id="n")


def wait():
    with contextlib.suppress(WaitTimeoutError):
        wait_workload("one", timeout=0.001)


def append():
    append_log_lines("one", ["first", "second", "third"])


def list_log():
    list_log_lines("one")


def delete():
    with contextlib.suppress(WorkloadNotFoundError):
        delete_workload("done")


def purge():
    purge_workloads(LATE)


def back_up():
    Path("copy.db").unlink(missing_ok=True)
    backup_store("copy.db")


def restore():
    restore_store("kept.db")


def open_and_close():
    open_store("other.db", current=False, pragmas=HURRIED).close()


def make_finished():
    create_workload(runtime="go", id="done", status="killed", finished_at=datetime.now(UTC))
    append_log_lines("done", ["line"] * 5)


CHANGES = {
    **{call: set() for call in (
        get, list_workloads, iterate, set_status, update, claim, claim_waiting, release, wait, list_log, workload_stats,
        back_up,
    )},
    delete: {(-1, -5)},
    purge: {(-1, -5)},
    restore: {(-1, -5)},
    append: {(0, 3)},
    create: {(1, 0)},
    create_by_model: {(1, 0)},
    create_many: {(2, 0)},
    transact: {(2, 0)},
    open_and_close: set(),
}  # fmt: skip
"""What each call may change about the numbers of workloads and of log lines, if it changes them.

They are tried in this order, in one store: those that read before it grows, and last what may leave connections open.
"""
every_call = each("call", list(CHANGES))


@pytest.fixture
def handled():
    """Sets how a signal is handled during the test."""
    before = {}

    def handle(number, handler):
        before.setdefault(number, signal.signal(number, handler))

    yield handle
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def opened(path, monkeypatch):
    """An open store with a workload; it is closed by another thread, which no lock that was left may stop."""
    # A signal may strike at the end of an object, which Python reports to this hook; the next one would strike in it.
    monkeypatch.setattr(sys, "unraisablehook", id)
    monkeypatch.chdir(os.path.dirname(path))
    store = open_store(path, pragmas=HURRIED)
    create_workload(runtime="go", id="one")
    backup_store("kept.db")
    yield store
    closing_thread = threading.Thread(target=store.close, daemon=True)
    closing_thread.start()
    closing_thread.join(PATIENCE)
    assert not closing_thread.is_alive(), "a lock was left behind"
    gc.collect()  # here, where it is no fault that one which was just being opened is closed by its end
    assert integrity(path) == "ok"


@pytest.fixture
def other(path, opened):
    """Another connection, which does not wait."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        yield connection


def assert_nothing_is_held(other):
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")


@every_call
def test_a_call_interrupted_at_any_moment_has_done_all_or_nothing_and_the_next_works(
    opened, other, handled, effort, call
):
    handled(signal.SIGINT, signal.default_int_handler)
    handled(signal.SIGUSR1, raise_alarm)
    # Half a step tries both signals at each moment.
    # What is interrupted while it opens or closes may stay open, and makes each next opening slower.
    interrupted, reached, every = 0, True, effort(29, long=2.5 if call is open_and_close else 0.5)

    for moment, number in zip(itertools.count(step=every), itertools.cycle([signal.SIGINT, signal.SIGUSR1])):
        if call in (delete, purge, restore) and not Workload.get_or_none(id="done"):
            make_finished()
        before = other.execute(COUNT).fetchone()
        try:
            reached = signalled(call, int(moment), number)
        except (KeyboardInterrupt, Alarm):
            interrupted += 1
        assert not opened.database.pool.lent()
        assert_nothing_is_held(other)
        after = other.execute(COUNT).fetchone()
        assert (after[0] - before[0], after[1] - before[1]) in {(0, 0)} | CHANGES[call]
        assert call is not back_up or not os.path.exists("copy.db") or integrity("copy.db") == "ok"
        call()
        assert_nothing_is_held(other)
        assert not [name for name in os.listdir() if name.startswith(".")]
        if not reached:
            break

    assert interrupted * every > 20


@every_call
def test_calls_interrupted_by_an_alarm_at_random_moments_leave_a_sound_store(
    opened, other, handled, effort, call
):
    handled(signal.SIGALRM, raise_alarm)
    rng = random.Random(20260218)
    before, _ = other.execute(COUNT).fetchone()

    for _ in range(effort(3, long=200)):
        try:
            try:
                # Once more much later, should it strike where Python only reports it; two at once are promised nothing.
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 2e-3), 0.2)
                while True:
                    call()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Alarm:
            pass
        assert_nothing_is_held(other)

    workloads, lines = other.execute(COUNT).fetchone()
    assert call not in (create_many, transact) or (workloads - before) % 2 == 0
    assert call is not append or [line.seq for line in list_log_lines("one")] == list(range(lines))
    assert lines % 3 == 0
