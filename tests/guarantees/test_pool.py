"""The pool by itself: who gets a connection when there are fewer than callers."""

from __future__ import annotations

import threading

import pytest

from guarantees.processes import PATIENCE
from vulcan_store import StoreUnavailableError
from vulcan_store.engines.pool import Borrower, Pool


class Connection:
    closed = in_transaction = False


class Connections(Pool):
    """Counts the connections that were opened, and the most that were open at once."""

    def __init__(self, **options):
        self.opened, self.open, self.most = 0, 0, 0
        options = {"max_idle": 2, "size": 2, "timeout": PATIENCE, **options}
        super().__init__(
            "server", self.make, self.end, lambda connection: connection.in_transaction,
            lambda connection: not connection.closed, **options,
        )  # fmt: skip

    def make(self, note):
        self.opened += 1
        self.open += 1
        self.most = max(self.most, self.open)
        note(Connection())

    def end(self, connection):
        connection.closed = True
        self.open -= 1


def in_thread(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_many_threads_share_a_few_connections_which_stay_open():
    pool, together, calls = Connections(), threading.Barrier(20), []

    def call_often():
        borrower = Borrower(pool)
        together.wait(PATIENCE)
        for _ in range(50):
            pool.lend(borrower, calls.append)

    threads = [in_thread(call_often) for _ in range(20)]
    for thread in threads:
        thread.join(PATIENCE)

    assert len(calls) == 1000
    assert pool.most <= 2 and pool.opened <= 2


def test_a_caller_waits_for_a_connection_no_longer_than_it_may():
    pool = Connections(size=1, timeout=0.01)

    with pytest.raises(StoreUnavailableError, match="none of its 1 connections was free for 0.01 s"):
        pool.lend(Borrower(pool), lambda connection: pool.lend(Borrower(pool), id))

    assert pool.lend(Borrower(pool), lambda connection: "free") == "free"


def test_one_that_waits_goes_on_when_a_connection_is_given_back():
    pool, waits, got = Connections(size=1), threading.Event(), []

    def wait():
        waits.set()
        got.append(pool.lend(Borrower(pool), lambda connection: connection))

    def hold(connection):
        thread = in_thread(wait)
        waits.wait(PATIENCE)
        return connection, thread

    held, waiting = pool.lend(Borrower(pool), hold)

    waiting.join(PATIENCE)
    assert got == [held]


def test_a_transaction_keeps_its_connection_until_it_ends_or_its_thread_does():
    pool = Connections(size=2)
    mine, theirs = Borrower(pool), Borrower(pool)

    def begin(connection):
        connection.in_transaction = True
        return connection

    def end(connection):
        connection.in_transaction = False
        return connection

    first, left = pool.lend(mine, begin), pool.lend(theirs, begin)
    assert first is not left
    assert pool.lend(mine, end) is first
    assert pool.lend(Borrower(pool), lambda connection: connection) is first
    del theirs  # as its thread ends

    pool.lend(mine, begin)

    assert left.closed and not first.closed


def test_a_connection_that_was_idle_for_too_long_is_closed_at_the_next_call(monkeypatch):
    pool = Connections(idle_for=60)
    old = pool.lend(Borrower(pool), lambda connection: pool.lend(Borrower(pool), lambda other: other))
    now = vars(threading)["_time"]() + 61
    monkeypatch.setattr("vulcan_store.engines.pool.time.monotonic", lambda: now)

    pool.lend(Borrower(pool), id)

    assert old.closed and pool.open == 1


def test_while_a_fork_is_prepared_nobody_is_given_a_connection():
    pool, mine = Connections(size=None), Borrower(Connections())
    first = pool.lend(Borrower(pool), lambda connection: connection)
    pool.pause()
    got = []
    waiting = in_thread(lambda: got.append(pool.lend(Borrower(pool), lambda connection: connection)))

    pool.drain(mine, PATIENCE)

    assert got == [] and first.closed
    pool.resume()
    waiting.join(PATIENCE)
    assert got[0] is not first
