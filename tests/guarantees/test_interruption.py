"""Signals whose handlers raise in the middle of a transaction, at every single step of it, or of a program."""

import random
import select
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial

import pytest
from postgres_server import execute

from guarantees.processes import PATIENCE, integrity, rows, signalled
from vulcan_store import create_workload, create_workloads, list_workloads, open_store

# What a signal interrupts may be the end of an object, where Python reports what is raised and goes on.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

WRITER = """
import os, sys
from vulcan_store import create_workload, list_workloads, open_store, update_workload
store = open_store(sys.argv[1])
print("ready", flush=True)
try:
    while True:
        workload = create_workload(runtime="go", output=bytes(5000))
        update_workload(workload.id, status="completed", exit_code=1)
        list_workloads(5)
        os.write(1, f"{workload.id}\\n".encode())  # all of the line or nothing
except KeyboardInterrupt:
    pass
assert not store.database.in_transaction()
print("after", create_workload(runtime="go", id=f"{sys.argv[2]} after").id, flush=True)
"""


class Interrupted(BaseException):
    pass


def interrupt(*_):
    raise Interrupted


@pytest.fixture(autouse=True)
def ends_in_time():
    """A lock that is never given back ends the test instead of hanging it."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"hangs for {PATIENCE} s"))
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def transact(store, number):
    with store.database.atomic():
        create_workload(runtime="go", id=f"{number} a")
        with store.database.atomic():
            create_workload(runtime="go", id=f"{number} b")


def create_two(store, number):
    create_workloads({"runtime": "go", "id": f"{number} {place}"} for place in "ab")


def list_them(store, number):
    list_workloads(3)


@pytest.mark.parametrize("call", [transact, create_two, list_them])
@pytest.mark.parametrize("option", ["", "&prepare_threshold=0"], ids=["unprepared", "prepared"])
def test_an_exception_from_a_signal_handler_at_any_step_leaves_nothing_open_on_a_server(
    postgres_target, postgres, effort, option, call
):
    left_open = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'cut' AND state LIKE 'idle in transaction%'"
    with open_store(f"{postgres_target}{option}&application_name=cut") as store:
        call(store, 0)
        step, reached = 1, True

        while reached:
            before = signal.signal(signal.SIGUSR1, interrupt)
            with suppress(Interrupted):
                reached = signalled(partial(call, store, step), step, signal.SIGUSR1)
            signal.signal(signal.SIGUSR1, before)
            assert not store.database.in_transaction()
            while execute(postgres, left_open):  # a server may take a moment to see that a connection was closed
                pass
            assert list_workloads(0).total % 2 == 0
            step += effort(29, long=1)
        call(store, step)
        assert step > 100


def test_a_keyboard_interrupt_at_any_moment_of_a_writer_loses_nothing_that_it_acknowledged(path, effort):
    rng = random.Random(12)
    acknowledged = []

    for number in range(effort(2, long=12)):
        moment = rng.randrange(1, 30)
        command = [sys.executable, "-c", WRITER, path, str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as one:
            assert select.select([one.stdout], [], [], PATIENCE)[0]
            assert one.stdout.readline() == "ready\n"
            heard = [one.stdout.readline().split() for _ in range(moment)]
            one.send_signal(signal.SIGINT)
            heard += [line.split() for line in one.stdout]
            one.wait(PATIENCE)
        assert one.returncode == 0
        assert heard.pop()[0] == "after"
        acknowledged += [words[0] for words in heard] + [f"{number} after"]

        stored = rows(path, "id, status, exit_code")
        assert set(acknowledged) <= {key for key, _, _ in stored}
        assert {row[1:] for row in stored} <= {("completed", 1), ("pending", None)}
        assert len(stored) - len(acknowledged) <= number + 1
        assert {row[1] for row in stored if row[0] in acknowledged and "after" not in row[0]} == {"completed"}
        assert integrity(path) == "ok"
