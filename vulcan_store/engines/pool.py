"""A pool: a connection is lent for one call or one transaction, and belongs to nobody in between.

One lock guards what is idle and what is lent; it is never held during a call. A signal handler may raise wherever
Python looks for signals. What it then leaves lent is found at the thread's next call, by who closes or forks, or when
the thread ends.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from vulcan_store.errors import StoreUnavailableError

T = TypeVar("T")
C = TypeVar("C")

CLOSED = "it was closed; call open_store() to open it again"
ENDED = "it was closed or forked in the middle of this transaction, which was rolled back"
FORKED = (
    "this process was forked while a connection was in use (a transaction, a long call) or behind Python's back, "
    "and a connection cannot be used across that; close the store before the fork, or start the process "
    "with another method than fork"
)
FORKING = "this thread is about to fork, which has to wait until no connection is in use; use the store before or after"

POLL = 0.001
"""Seconds between two looks at whether a call or a transaction has ended, for which a fork or a closing waits."""
MAX_WAIT = 1.0
"""Seconds between two looks for a free connection, should an interruption have kept somebody from saying so."""


class Borrower(Generic[C]):
    """A thread as the pool knows it, which has the only strong reference to it.

    Attributes:
        connection: what is lent for the call that it is in, or until its transaction ends.
        in_call: whether a call is under way.
        lost: whether its transaction was ended by a closing or a fork, of which it has not been told.
        key: what the pool knows it by; dead once the thread has ended.
    """

    __slots__ = ("connection", "in_call", "lost", "key", "__weakref__")

    def __init__(self, pool: Pool[C]) -> None:
        self.connection: C | None = None
        self.in_call = self.lost = False
        self.key: weakref.ref[Borrower[C]] = weakref.ref(self, pool.ended.append)
        hash(self.key)  # while it lives: the hash of a dead one is known only if it was asked for before


class Pool(Generic[C]):
    """Connections of one database, which are lent.

    Args:
        target: what was opened, for errors.
        connect: opens a connection and hands it to a function, before a fork can come.
        disconnect: closes a connection.
        is_in_transaction: whether a transaction is open on a connection.
        is_usable: whether a connection that lay idle can still be used; None if each can.
        max_idle: how many idle connections are kept; further ones are closed at once.
        idle_for: seconds after which one that is idle is closed at the next call; None for never.
        size: how many connections there may be; None for as many as there are calls at once.
        timeout: seconds that a caller waits for one of them.
    """

    def __init__(
        self,
        target: str,
        connect: Callable[[Callable[[C], None]], None],
        disconnect: Callable[[C], None],
        is_in_transaction: Callable[[C], bool],
        is_usable: Callable[[C], bool] | None = None,
        *,
        max_idle: int,
        idle_for: float | None = None,
        size: int | None = None,
        timeout: float = 0.0,
    ) -> None:
        self.target, self.connect, self.disconnect = target, connect, disconnect
        self.is_in_transaction, self.is_usable = is_in_transaction, is_usable
        self.max_idle, self.idle_for, self.size, self.timeout = max_idle, idle_for, size, timeout
        self.closed = self.over = False
        self.begin(os.getpid())

    def begin(self, process: int | None) -> None:
        """Lend connections in a process from now on; None for one that has to be refused."""
        self.process = process
        self.lock = threading.RLock()  # an object's end may use the store, and garbage may be collected here
        self.freed = threading.Condition(self.lock)
        self.idle: list[tuple[C, float]] = []
        self.lent: dict[weakref.ref[Borrower[C]], C | None] = {}  # None is one that is being opened
        self.ended: list[weakref.ref[Borrower[C]]] = []
        self.outdated: list[C] = []
        self.forking: int | None = None  # the thread for which lending pauses
        self.lending = not self.closed

    def is_empty(self) -> bool:
        """Whether no connection is open."""
        return not self.idle and not any(list(self.lent.values()))  # a list at one step, as others lend meanwhile

    # Lending

    def take(self, borrower: Borrower[C]) -> C:
        """The connection of this thread's transaction, or any; :meth:`give_back` has to follow, whatever is raised."""
        with self.lock:
            if self.process == os.getpid():
                connection = borrower.connection
                if connection is None and self.idle and self.lending and self.is_usable is None:
                    if not (self.ended or borrower.lost):
                        connection, _ = self.idle[-1]
                        self.lent[borrower.key] = borrower.connection = connection
                        del self.idle[-1]
                if connection is not None:
                    borrower.in_call = True
                    return connection
        return self._wait(borrower)

    def lend_another(self, work: Callable[[C], T]) -> T:
        """Call a function with a connection that is in no transaction, whatever this thread is in."""
        borrower = Borrower(self)
        try:
            return work(self.take(borrower))
        finally:
            self.give_back(borrower)

    def _wait(self, borrower: Borrower[C]) -> C:
        """Wait for a connection, and open one where there may be another."""
        deadline = time.monotonic() + self.timeout
        while True:
            self.require_use(borrower)
            self._close_unused(borrower)
            with self.lock:
                connection = self.idle[-1][0] if self.lending and self.idle else None
                if connection is None and (
                    not self.lending or self.size is not None and len(self.lent) >= self.size
                ):
                    self._wait_for_others(deadline)
                    continue
                self.lent[borrower.key] = borrower.connection = connection
                del self.idle[-1:]
                borrower.in_call = connection is not None
            if connection is None:
                return self._open(borrower)
            if self.is_usable is None or self.is_usable(connection):
                return connection
            borrower.in_call = False
            self.discard(borrower)

    def require_use(self, borrower: Borrower[C]) -> None:
        """Raise StoreUnavailableError where nothing is lent to this thread."""
        lost, borrower.lost = borrower.lost, False
        if self.process != os.getpid():
            self.keep_inherited()
            borrower.connection = None
            reason = CLOSED if self.closed else FORKED
        elif lost:
            reason = ENDED
        elif self.closed:
            reason = CLOSED
        elif self.forking == threading.get_ident():
            reason = FORKING
        else:
            return
        raise StoreUnavailableError(self.target, reason)

    def _close_unused(self, borrower: Borrower[C]) -> None:
        """Close what an interruption left lent to this thread, what ended threads had, and what was idle too long."""
        unused: list[C | None] = []
        with self.lock:
            while self.ended:
                unused.append(self.lent.pop(self.ended.pop(), None))
            unused.append(self.lent.pop(borrower.key, None))
            while self.idle_for is not None and self.idle and time.monotonic() - self.idle[0][1] > self.idle_for:
                unused.append(self.idle.pop(0)[0])
        for connection in unused:
            if connection is not None:
                self.disconnect(connection)

    def _wait_for_others(self, deadline: float) -> None:
        # Without a limit it is for a fork to end, which does so by itself.
        left = MAX_WAIT if self.size is None else deadline - time.monotonic()
        if left <= 0:
            raise StoreUnavailableError(
                self.target,
                f"none of its {self.size} connections was free for {self.timeout:g} s; shorten transactions, or "
                "allow more with ?pool_size= in the URL",
            )
        self.freed.wait(min(left, MAX_WAIT))

    def _open(self, borrower: Borrower[C]) -> C:
        def note(connection: C) -> None:
            with self.lock:
                self.lent[borrower.key] = borrower.connection = connection
                borrower.in_call = True

        try:
            self.connect(note)
            if borrower.connection is None or self.over:
                raise StoreUnavailableError(self.target, CLOSED)
            return borrower.connection
        except BaseException:
            borrower.in_call = False
            self.discard(borrower)
            raise

    def give_back(self, borrower: Borrower[C]) -> None:
        """Let others have the connection, unless a transaction is open on it: then this thread keeps it."""
        unused = None
        with self.lock:
            connection = borrower.connection
            if connection is not None and (self.over or not self.is_in_transaction(connection)):
                borrower.lost = self.over and self.is_in_transaction(connection)
                borrower.connection = None
                del self.lent[borrower.key]
                if self.closed or len(self.idle) >= self.max_idle or connection in self.outdated:
                    unused = connection
                else:
                    self.idle.append((connection, 0.0 if self.idle_for is None else time.monotonic()))
                if self.size is not None:
                    self.freed.notify()
            borrower.in_call = False
        if unused is not None:
            self.disconnect(unused)

    # Closing

    def discard(self, borrower: Borrower[C]) -> None:
        """Close the connection that is lent to a thread, which rolls its transaction back."""
        with self.lock:
            connection, borrower.connection = self.lent.pop(borrower.key, None), None
            self.freed.notify()
        if connection is not None:
            self.disconnect(connection)

    def retire(self) -> None:
        """Keep no connection that is open, so that later ones have what was registered meanwhile."""
        with self.lock:
            self.outdated = [connection for connection in self.lent.values() if connection is not None]
        while (connection := self._take_idle()) is not None:
            self.disconnect(connection)

    def _take_idle(self) -> C | None:
        with self.lock:
            return self.idle.pop()[0] if self.idle else None

    def drain(self, mine: Borrower[C], patience: float, *, keep: bool = False) -> bool:
        """Close every connection, once no call and no transaction is under way on it; whether none is left.

        This thread's own is not waited for.

        Args:
            patience: how many seconds to wait for that.
            keep: whether to close nothing, and to wait for calls alone.
        """
        while True:
            while not keep and (connection := self._take_idle() or self._take_left()) is not None:
                self.disconnect(connection)
            with self.lock:
                borrowers = [key() for key, connection in self.lent.items() if connection is not None]
            used = [each for each in borrowers if each is not mine and each is not None and (each.in_call or not keep)]
            if patience <= 0 or not used:
                return not borrowers
            time.sleep(POLL)
            patience -= POLL  # what was slept is counted, and no clock read: tests of users freeze clocks

    def _take_left(self) -> C | None:
        """A connection on which no call is under way and, while transactions may go on, no transaction either."""
        with self.lock:
            for key, connection in self.lent.items():
                borrower = key()
                if connection is None or borrower is not None and borrower.in_call:
                    continue
                open_transaction = self.is_in_transaction(connection)
                if borrower is None or self.over or not open_transaction:
                    if borrower is not None:
                        borrower.connection, borrower.lost = None, open_transaction
                    del self.lent[key]
                    return connection
            return None

    def close(self, mine: Borrower[C], patience: float) -> bool:
        """Lend nothing more, and close every connection; whether a transaction of this thread's was rolled back.

        Calls and transactions of other threads are waited for at most so many seconds. A transaction is rolled back
        then; a connection on which a call is under way is closed when the call has ended.
        """
        self.closed, self.lending = True, False
        if self.process != os.getpid():
            self.keep_inherited()
            return False
        # First this thread's own, whose transaction the others may be waiting for.
        own = mine.connection is not None and self.is_in_transaction(mine.connection)
        if not mine.in_call:
            self.discard(mine)
        self.resume()
        self.drain(mine, patience)
        self.over = True
        self.drain(mine, 0.0)
        return own

    # Forks

    def pause(self) -> None:
        """Lend nothing until :meth:`resume`; transactions that are open go on."""
        self.lending, self.forking = False, threading.get_ident()

    def resume(self) -> None:
        """Go on lending, unless it was closed, and tell those who wait."""
        with self.lock:
            self.lending, self.forking = not self.closed, None
            self.freed.notify_all()

    def keep_inherited(self) -> bool:
        """In a forked child: let no connection of the parent's be closed, not by its end either; whether any is."""
        import ctypes  # seldom needed, and slow to import

        inherited = [each for each in (*(idle for idle, _ in self.idle), *self.lent.values()) if each is not None]
        for connection in inherited:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self.idle, self.lent = [], {}
        return bool(inherited)

    def go_on_in_child(self, mine: Borrower[C]) -> bool:
        """In a forked child: use the connections that were copied; False if another thread was in a call on one."""
        others = [key for key in self.lent if key is not mine.key]
        if any(borrower is not None and borrower.in_call for borrower in (key() for key in others)):
            return False
        idle, lent, ended = self.idle, self.lent, self.ended
        self.begin(os.getpid())
        self.idle, self.lent, self.ended = idle, lent, ended
        ended.extend(others)  # those threads are not there to end a transaction
        return True
