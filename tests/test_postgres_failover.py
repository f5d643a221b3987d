"""A primary is lost and its standby promoted: a store that knows both goes on by itself and loses nothing."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from guarantees.processes import PATIENCE, context, in_processes
from postgres_server import PostgresServer, Standby, execute, started

from vulcan_store import (
    LogLine,
    StoreUnavailableError,
    Workload,
    append_log_lines,
    create_workload,
    get_workload,
    list_workloads,
    open_store,
)
from vulcan_store.testing import make_workload

PROCESSES, THREADS, ENOUGH = 2, 3, 60


@pytest.fixture
def primary():
    server = started(PostgresServer)
    yield server
    server.remove()


@pytest.fixture
def standby(primary):
    server = started(Standby, primary)
    yield server
    server.remove()


@pytest.fixture
def target(primary, standby):
    both = primary.url().replace("@", f"@127.0.0.1:{standby.port},")
    return f"{both}?target_session_attrs=read-write"


def create(name):
    create_workload(runtime="go", id=name)


def create_in_transaction(name):
    with Workload._meta.database.atomic():
        create_workload(runtime="go", id=f"half of {name}")
        create_workload(runtime="go", id=name)


def append(name):
    append_log_lines("log", [name])


WRITES = {"row": create, "pair": create_in_transaction, "line": append}


def write_until_told(stop, place, thread):
    """What was acknowledged, may have been done, was not done, and was raised besides."""
    done, maybe, refused, others = [], [], [], []
    number = 0
    while not stop.is_set():
        for kind, write in WRITES.items():
            name = f"{kind} {place}-{thread}-{number}"
            try:
                write(name)
                done.append(name)
            except StoreUnavailableError as error:
                (maybe if error.maybe_done else refused).append(name)
                stop.wait(0.01)
            except Exception as error:
                others.append(repr(error))
        number += 1
    return done, maybe, refused, others


def work(barrier, place, target, stop):
    with open_store(target), ThreadPoolExecutor(THREADS) as threads:
        barrier.wait()
        return list(threads.map(write_until_told, [stop] * THREADS, [place] * THREADS, range(THREADS)))


def wait_for_rows(url, count):
    waited = time.monotonic() + PATIENCE
    while (rows := execute(url, "SELECT count(*) FROM workloads")[0][0]) < count:
        assert time.monotonic() < waited, f"only {rows} of {count} rows"
    return rows


def test_writers_go_on_at_the_standby_and_nothing_acknowledged_is_missing_or_there_twice(primary, standby, target):
    stop = context.Event()
    with open_store(target):
        make_workload(id="log")
    with ThreadPoolExecutor() as threads:
        writers = threads.submit(in_processes, PROCESSES, work, target, stop)
        try:
            before = wait_for_rows(primary.url(), ENOUGH)
            primary.kill()
            standby.promote()
            wait_for_rows(standby.url(), before + ENOUGH)
        finally:
            stop.set()
        answers = [answer for process in writers.result(PATIENCE) for answer in process]

    done, maybe, refused, others = ([name for answer in answers for name in answer[kind]] for kind in range(4))
    with open_store(target):
        rows = [row.id for row in Workload.select(Workload.id) if row.id != "log"]
        lines = [line.line for line in LogLine.select(LogLine.line)]
        numbers = [line.seq for line in LogLine.select(LogLine.seq).order_by(LogLine.seq)]
    halves = [name.removeprefix("half of ") for name in rows if name.startswith("half of ")]
    stored = [name for name in rows if not name.startswith("half of ")] + lines
    assert others == [] and maybe + refused
    assert set(done) <= set(stored) <= set(done + maybe)
    assert len(stored) == len(set(stored)) and numbers == list(range(len(lines)))
    assert sorted(halves) == sorted(name for name in stored if name.startswith("pair"))


def test_what_is_acknowledged_by_nobody_may_have_been_done(primary, standby, target):
    with open_store(target), ThreadPoolExecutor() as threads:
        standby.stop()
        # The primary writes it, and waits for a standby that is not there.
        waiting = threads.submit(create_workload, runtime="go", id="unsure")
        while execute(primary.url(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == [(0,)]:
            assert not waiting.done()
        primary.kill()
        with pytest.raises(StoreUnavailableError) as loss:
            waiting.result(PATIENCE)
        with pytest.raises(StoreUnavailableError) as later:
            get_workload("unsure")

        assert loss.value.maybe_done and "may or may not have been done" in str(loss.value)
        assert not later.value.maybe_done


def test_a_primary_that_has_become_a_standby_is_left_for_the_new_one(primary, standby, target):
    with open_store(target):
        made = make_workload()
        execute(primary.url(), "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        standby.promote()
        while execute(primary.url(), "SHOW default_transaction_read_only") != [("on",)]:
            pass

        with pytest.raises(StoreUnavailableError, match="read-only"):
            make_workload()

        assert list_workloads().items == [made]
        make_workload()
        assert execute(standby.url(), "SELECT count(*) FROM workloads") == [(2,)]
