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


class Presence:
    """What a thread alone refers to; once it is dead, the thread has ended."""


class Borrower(Generic[C]):
    """What the pool knows of a thread.

    Attributes:
        connection: what is lent for the call that it is in, or until its transaction ends.
        in_call: whether a call is under way.
        opening: whether a connection is being opened for it.
        outdated: whether its connection lacks what was registered meanwhile.
        lost: whether its transaction was ended by a closing or a fork, of which it has not been told.
    """

    __slots__ = ("connection", "in_call", "opening", "outdated", "lost")

    def __init__(self) -> None:
        self.connection: C | None = None
        self.in_call = self.opening = self.outdated = self.lost = False


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
        self.borrowers: dict[weakref.ref[Presence], Borrower[C]] = {}
        self.ended: list[weakref.ref[Presence]] = []
        self.forking: int | None = None  # the thread for which lending pauses
        self.lending = not self.closed

    def is_empty(self) -> bool:
        """Whether no connection is open."""
        with self.lock:
            return not self.idle and not self._lent()

    def _lent(self) -> list[Borrower[C]]:
        # Of a list that is made at one step, as others join meanwhile.
        return [borrower for borrower in list(self.borrowers.values()) if borrower.connection is not None]

    # Lending

    def join(self) -> tuple[Presence, Borrower[C]]:
        """Lend to one more thread, which has to keep the first of the two for as long as it lives."""
        presence, borrower = Presence(), Borrower[C]()
        self.borrowers[weakref.ref(presence, self.ended.append)] = borrower
        return presence, borrower

    def take(self, borrower: Borrower[C]) -> C:
        """The connection of this thread's transaction, or any; :meth:`give_back` has to follow, whatever is raised."""
        with self.lock:
            if self.process == os.getpid():
                connection = borrower.connection
                if connection is None and self.idle and self.lending and self.is_usable is None:
                    if not (self.ended or borrower.lost):
                        connection = borrower.connection = self.idle[-1][0]
                        del self.idle[-1]
                if connection is not None:
                    borrower.in_call = True
                    return connection
        return self._wait(borrower)

    def lend_another(self, work: Callable[[C], T]) -> T:
        """Call a function with a connection that is in no transaction, whatever this thread is in."""
        presence, borrower = self.join()
        try:
            return work(self.take(borrower))
        finally:
            self.give_back(borrower)
            del presence

    def _wait(self, borrower: Borrower[C]) -> C:
        """Wait for a connection, and open one where there may be another."""
        deadline = time.monotonic() + self.timeout
        while True:
            self.require_use(borrower)
            self._close_unused()
            with self.lock:
                connection = self.idle[-1][0] if self.lending and self.idle else None
                borrower.opening = connection is None and self.lending and self._may_open(borrower)
                if connection is None and not borrower.opening:
                    self._wait_for_others(deadline)
                    continue
                borrower.connection = connection
                del self.idle[-1:]
                borrower.in_call = connection is not None
            if connection is None:
                return self._open(borrower)
            if self.is_usable is None or self.is_usable(connection):
                return connection
            borrower.in_call = False
            self.discard(borrower)

    def _may_open(self, borrower: Borrower[C]) -> bool:
        others = (each for each in list(self.borrowers.values()) if each is not borrower)
        return self.size is None or sum(each.opening or each.connection is not None for each in others) < self.size

    def require_use(self, borrower: Borrower[C]) -> None:
        """Raise StoreUnavailableError where nothing is lent to this thread."""
        lost, borrower.lost = borrower.lost, False
        if self.process != os.getpid():
            self.keep_inherited()
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

    def _close_unused(self) -> None:
        """Close what ended threads had, and what was idle too long."""
        with self.lock:
            unused = self._of_ended_threads()
            while self.idle_for is not None and self.idle and time.monotonic() - self.idle[0][1] > self.idle_for:
                unused.append(self.idle.pop(0)[0])
        self._disconnect(unused)

    def _of_ended_threads(self) -> list[C]:
        ended = [self.borrowers.pop(self.ended.pop(), None) for _ in self.ended[:]]
        return [each.connection for each in ended if each is not None and each.connection is not None]

    def _disconnect(self, connections: list[C]) -> None:
        for connection in connections:
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
                borrower.connection, borrower.in_call = connection, True

        try:
            self.connect(note)
            if borrower.connection is None or self.over:
                raise StoreUnavailableError(self.target, CLOSED)
            return borrower.connection
        except BaseException:
            borrower.in_call = False
            self.discard(borrower)
            raise
        finally:
            borrower.opening = False

    def give_back(self, borrower: Borrower[C]) -> None:
        """Let others have the connection, unless a transaction is open on it: then this thread keeps it."""
        unused = None
        with self.lock:
            connection = borrower.connection
            if connection is not None and (self.over or not self.is_in_transaction(connection)):
                borrower.lost = self.over and self.is_in_transaction(connection)
                kept = not (self.closed or borrower.outdated) and len(self.idle) < self.max_idle
                entry = connection, 0.0 if self.idle_for is None else time.monotonic()
                # No function is called between the two, so no signal comes between them.
                borrower.connection = None
                if kept:
                    self.idle.append(entry)
                else:
                    unused, borrower.outdated = connection, False
                if self.size is not None:
                    self.freed.notify()
            borrower.in_call = False
        if unused is not None:
            self.disconnect(unused)

    # Closing

    def discard(self, borrower: Borrower[C]) -> None:
        """Close the connection that is lent to a thread, which rolls its transaction back."""
        with self.lock:
            connection, borrower.connection = borrower.connection, None
            self.freed.notify()
        if connection is not None:
            self.disconnect(connection)

    def retire(self) -> None:
        """Keep no connection that is open, so that later ones have what was registered meanwhile."""
        with self.lock:
            for borrower in self._lent():
                borrower.outdated = True
            idle, self.idle = self.idle, []
        self._disconnect([connection for connection, _ in idle])

    def drain(self, mine: Borrower[C], patience: float, *, keep: bool = False) -> bool:
        """Close every connection, once no call and no transaction is under way on it; whether none is left.

        This thread's own is not waited for.

        Args:
            patience: how many seconds to wait for that.
            keep: whether to close nothing, and to wait for calls alone.
        """
        while True:
            if not keep:
                self._close_left()
            lent = self._lent()
            used = [each for each in lent if each is not mine and (each.in_call or not keep)]
            if patience <= 0 or not used:
                return not lent
            time.sleep(POLL)
            patience -= POLL  # what was slept is counted, and no clock read: tests of users freeze clocks

    def _close_left(self) -> None:
        """Close where no call is under way and, while transactions may go on, no transaction either."""
        with self.lock:
            left = self._of_ended_threads()
            for borrower in self._lent():
                connection = borrower.connection
                if connection is not None and not borrower.in_call:
                    open_transaction = self.is_in_transaction(connection)
                    if self.over or not open_transaction:
                        borrower.connection, borrower.lost = None, open_transaction
                        left.append(connection)
        self._disconnect(left)
        self.retire()

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

        lent = self._lent()
        inherited = [*(idle for idle, _ in self.idle), *(borrower.connection for borrower in lent)]
        for connection in inherited:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self.idle = []
        for borrower in lent:
            borrower.connection = None
        return bool(inherited)

    def go_on_in_child(self, mine: Borrower[C]) -> bool:
        """In a forked child: use the connections that were copied; False if another thread was in a call on one."""
        others = [key for key, borrower in self.borrowers.items() if borrower is not mine]
        if any(self.borrowers[key].in_call for key in others):
            return False
        idle, borrowers, ended = self.idle, self.borrowers, self.ended
        self.begin(os.getpid())
        self.idle, self.borrowers, self.ended = idle, borrowers, ended
        ended.extend(others)  # those threads are not there to end a transaction
        return True
