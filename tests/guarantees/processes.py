"""Other processes for tests: started together, listened to, and never waited for without end."""

import ctypes
import itertools
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from vulcan_store import create_workload, open_store

PATIENCE = 60
"""Seconds after which whatever a test waits for is taken to hang."""

PATIENT = {"busy_timeout": PATIENCE * 1000}
"""The pragmas of a store whose writers may have to wait, because a test makes many write at once."""

HURRIED = {**PATIENT, "synchronous": "off"}
"""Those of a store of which nothing has to survive a power cut, so that a test does not wait for the disk."""

WRITER = Path(__file__).with_name("writer.py")

# Each is forked from a process of its own, which has loaded the modules and nothing else: no store, no thread.
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["pytest", "vulcan_store"])


def in_processes(count, work, *arguments):
    """What ``work(barrier, place, *arguments)`` returns in each of so many new processes, in the order of places."""
    barrier = context.Barrier(count)
    pipes, processes = [], []
    for place in range(count):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_answer, args=(theirs, work, barrier, place, *arguments), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        return [_received(pipe) for pipe in pipes]
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.close()
            process.kill()
            process.join(PATIENCE)


def exit_code(work, *arguments):
    """How a new process ends that calls ``work(*arguments)``."""
    process = context.Process(target=work, args=arguments, daemon=True)
    process.start()
    process.join(PATIENCE)
    return process.exitcode


def write_and_die(path):
    """Leave a ``-wal`` with the workload ``last`` in it, to be called by a process that may die."""
    open_store(path)
    create_workload(runtime="go", id="last", output=bytes(200_000))
    os.kill(os.getpid(), signal.SIGKILL)


def _answer(pipe, work, barrier, place, *arguments):
    try:
        pipe.send((work(barrier, place, *arguments), None))
    except BaseException:
        pipe.send((None, traceback.format_exc()))
    pipe.close()


def _received(pipe):
    if not pipe.poll(PATIENCE):
        pytest.fail(f"a process has not answered for {PATIENCE} s")
    value, problem = pipe.recv()
    if problem:
        pytest.fail(f"in a process: {problem}")
    return value


def signalled(call, moment, number):
    """Call a function and send this process a signal at one of the moments at which Python looks for one."""
    moments = itertools.count()

    def watch(frame, event, argument):
        if event in ("call", "c_return") and next(moments) == moment:
            sys.setprofile(None)
            signal.raise_signal(number)

    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(None)
    return next(moments) > moment


def descriptors():
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


def idle_connection(store):
    """The driver's connection that lies idle, which the next call will have."""
    return store.database.with_connection(lambda connection: connection)


def in_threads(count, work, *arguments):
    """What ``work(barrier, place, *arguments)`` returns in each of so many threads, in the order of places."""
    barrier = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(work, barrier, place, *arguments) for place in range(count)]
        return [future.result(PATIENCE) for future in futures]


@contextmanager
def transaction_elsewhere(store):
    """Another thread in the middle of a transaction, which it goes on with and commits once the event given is set."""
    inside, leave = threading.Event(), threading.Event()

    def transact():
        with store.database.atomic():
            store.create_workload(runtime="go", id="theirs")
            inside.set()
            leave.wait(PATIENCE)
            store.create_workload(runtime="go", id="theirs too")

    with ThreadPoolExecutor(1) as threads:
        transacting = threads.submit(transact)
        assert inside.wait(PATIENCE)
        try:
            yield leave, transacting
        finally:
            leave.set()


def forked(work, *arguments, fork=os.fork):
    """Fork this process; the function returned waits for what ``work`` returns or raises in the child."""
    reading, writing = os.pipe()
    child = fork()
    if not child:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(PATIENCE)
            try:
                answer = (True, work(*arguments))
            except BaseException as error:
                answer = (False, error)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(writing)

    def answer():
        with os.fdopen(reading, "rb") as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        if not text:
            pytest.fail(f"the child gave no answer: it ended early, or hung for {PATIENCE} s")
        succeeded, value = pickle.loads(text)
        if succeeded:
            return value
        raise value

    return answer


def fork_behind_pythons_back():
    """Fork as a C extension or a server does that embeds Python, without its hooks."""
    return ctypes.PyDLL(None).fork()


def run(source, *arguments, check=True, **options):
    """Run the text of a program to its end in a new process."""
    command = [sys.executable, "-c", source, *map(str, arguments)]
    done = subprocess.run(command, text=True, capture_output=True, timeout=PATIENCE, **options)
    assert not check or done.returncode == 0, done.stderr
    return done


def integrity(path):
    """What SQLite finds wrong with a file: ``"ok"`` if nothing."""
    with closing(sqlite3.connect(path)) as connection:
        problems = connection.execute("PRAGMA integrity_check").fetchall()
        problems += connection.execute("PRAGMA foreign_key_check").fetchall()
    return "ok" if problems == [("ok",)] else problems


def rows(path, columns="id, status"):
    """What the file holds, read without the package."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM workloads ORDER BY id").fetchall()
