"""Signals whose handlers raise, or call the store, in the middle of a call: at every single step of it."""

from __future__ import annotations

import random
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest

from guarantees.processes import PATIENCE, integrity, rows
from vulcan_store import (
    Workload,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
    update_workload,
)
from vulcan_store.testing import make_workload

WRITER = """
import sys
from vulcan_store import create_workload, list_workloads, open_store, update_workload
store = open_store(sys.argv[1])
print("ready", flush=True)
try:
    while True:
        with store.database.atomic():
            workload = create_workload(runtime="go", output=bytes(5000))
            update_workload(workload.id, status="completed", exit_code=1)
        list_workloads(5)
        print(workload.id, flush=True)
except KeyboardInterrupt:
    pass
assert not store.database.in_transaction()
print("after", create_workload(runtime="go", id=f"{sys.argv[2]} after").id, flush=True)
"""


class Interrupted(Exception):
    pass


def interrupt(*_):
    raise Interrupted


@contextmanager
def signal_at(step, act):
    """Send this process a signal at a step of what is done inside, counted in the package and in Peewee."""
    left = step

    def trace(frame, event, argument):
        nonlocal left
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("vulcan_store", "peewee")):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                sys.settrace(None)
                signal.raise_signal(signal.SIGUSR1)
        return trace

    before, tracing = signal.signal(signal.SIGUSR1, act), sys.gettrace()
    sys.settrace(trace)
    try:
        yield lambda: left > 0
    finally:
        sys.settrace(tracing)
        signal.signal(signal.SIGUSR1, before)


def steps(stride):
    step = 0
    while True:
        step += random.Random(step).randint(1, stride)
        yield step


@pytest.fixture
def opened(path):
    with open_store(path, pragmas={"synchronous": "off", "busy_timeout": 200}) as store:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            store.other = other
            yield store


def assert_nothing_is_open(store):
    """Nobody is kept from writing, neither another connection nor this one."""
    store.other.execute("BEGIN IMMEDIATE")
    store.other.execute("ROLLBACK")
    assert not store.database.in_transaction()
    assert not store.database.connection().in_transaction
    with store.database.atomic():
        pass


def transact(store, number):
    with store.database.atomic():
        create_workload(runtime="go", id=f"{number} a")
        with store.database.atomic():
            create_workload(runtime="go", id=f"{number} b")


CALLS = {
    "create": lambda store, number: create_workload(runtime="go", id=f"{number}", output=b"whole"),
    "update": lambda store, number: update_workload("one", exit_code=number, error=str(number)),
    "list": lambda store, number: list_workloads(3),
    "get": lambda store, number: get_workload("one"),
    "model": lambda store, number: Workload.create(runtime="go", id=f"{number}", output=b"whole"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_exception_from_a_signal_handler_at_any_step_of_a_call_leaves_nothing_open_or_half_done(opened, path, call):
    make_workload(id="one", exit_code=0, error="0")
    call(opened, 10**6)

    for number in steps(3):
        before = set(rows(path, "id, output, exit_code, error"))
        try:
            with signal_at(number, interrupt) as pending:
                call(opened, number)
                if pending():
                    break
        except Interrupted:
            pass
        assert_nothing_is_open(opened)
        changed = set(rows(path, "id, output, exit_code, error")) - before
        assert changed <= {(f"{number}", b"whole", None, None), ("one", None, number, f"{number}")}
    assert number > 100
    assert integrity(path) == "ok"


def test_an_exception_from_a_signal_handler_at_any_step_of_a_transaction_leaves_all_of_it_or_nothing(opened, path):
    for number in steps(9):
        try:
            with signal_at(number, interrupt) as pending:
                transact(opened, number)
                if pending():
                    break
        except Interrupted:
            pass
        assert_nothing_is_open(opened)
        assert [key for key, _ in rows(path) if key.startswith(f"{number} ")] in ([], [f"{number} a", f"{number} b"])
    assert number > 500
    assert integrity(path) == "ok"


def test_a_signal_handler_that_calls_the_store_at_any_step_of_a_call_is_served_and_so_is_the_call(opened, path):
    made = []

    for number in steps(5):
        with signal_at(number, lambda *_: made.append(create_workload(runtime="go").id)) as pending:
            made.append(create_workload(runtime="go").id)
            list_workloads(2)
            if pending():
                break
        assert_nothing_is_open(opened)

    assert len(set(made)) == len(made) > 100
    assert [key for key, _ in rows(path)] == sorted(made)


def test_a_keyboard_interrupt_at_any_moment_of_a_writer_loses_nothing_that_it_acknowledged(path):
    rng = random.Random(12)
    acknowledged = []

    for number in range(12):
        moment = rng.randrange(1, 30)
        with subprocess.Popen([sys.executable, "-c", WRITER, path, str(number)], stdout=subprocess.PIPE, text=True) as one:
            assert select.select([one.stdout], [], [], PATIENCE)[0]
            assert one.stdout.readline() == "ready\n"
            heard = [one.stdout.readline().split() for _ in range(moment)]
            one.send_signal(signal.SIGINT)
            heard += [line.split() for line in one.communicate(timeout=PATIENCE)[0].splitlines()]
        assert one.returncode == 0
        assert heard.pop()[0] == "after"
        acknowledged += [words[0] for words in heard] + [f"{number} after"]

        stored = rows(path, "id, status, exit_code, output")
        assert set(acknowledged) <= {row[0] for row in stored}
        assert {row[1:3] for row in stored} <= {("completed", 1), ("pending", None)}
        assert {row[0] for row in stored if row[1] == "pending"} == {key for key in acknowledged if "after" in key}
        assert integrity(path) == "ok"
