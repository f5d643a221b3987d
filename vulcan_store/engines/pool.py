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
from typing import Any, Generic, TypeVar

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
        self.ended: list[Any] = []
        self.outdated: list[C] = []
        self.lending = not self.closed
        self.forking: int | None = None  # the thread for which lending pauses

    # Lending

    def lend(self, borrower: Borrower[C], work: Callable[..., T], *arguments: Any) -> T:
        """Call ``work(connection, *arguments)``; the connection is given back unless a transaction is open on it."""
        try:
            return work(self._enter(borrower), *arguments)
        finally:
            try:
                self._leave(borrower)
            finally:
                borrower.in_call = False

    def lend_another(self, work: Callable[[C], T]) -> T:
        """Call a function with a connection that is in no transaction, whatever this thread is in."""
        return self.lend(Borrower(self), work)

    def _enter(self, borrower: Borrower[C]) -> C:
        with self.lock:
            if self.process == os.getpid():
                connection = borrower.connection
                if connection is None and self.idle and self.lending and not self.ended and self.is_usable is None:
                    if borrower.key not in self.lent:
                        connection = self._lend_idle(borrower)
                if connection is not None and self.lent.get(borrower.key) is connection:
                    borrower.in_call = True
                    return connection
        return self._enter_slowly(borrower)

    def _lend_idle(self, borrower: Borrower[C]) -> C:
        connection, _ = self.idle[-1]
        self.lent[borrower.key] = borrower.connection = connection
        del self.idle[-1]
        return connection

    def _enter_slowly(self, borrower: Borrower[C]) -> C:
        deadline = time.monotonic() + self.timeout
        while True:
            self._require_use(borrower)
            self._close_left_behind(borrower)
            connection = None
            with self.lock:
                if self.lending and self.idle:
                    connection = self._lend_idle(borrower)
                    borrower.in_call = True
                elif self.lending and (self.size is None or len(self.lent) < self.size):
                    self.lent[borrower.key] = None
                else:
                    self._wait(deadline)
                    continue
            if connection is None:
                return self._open(borrower)
            if self.is_usable is None or self.is_usable(connection):
                return connection
            self.discard(borrower)

    def _require_use(self, borrower: Borrower[C]) -> None:
        if self.process != os.getpid():
            self.keep_inherited()
            raise StoreUnavailableError(self.target, CLOSED if self.closed else FORKED)
        if borrower.lost:
            borrower.lost = False
            raise StoreUnavailableError(self.target, ENDED)
        if self.closed:
            raise StoreUnavailableError(self.target, CLOSED)
        if self.forking == threading.get_ident():
            raise StoreUnavailableError(self.target, FORKING)

    def _close_left_behind(self, borrower: Borrower[C]) -> None:
        """Close what an interruption left lent to this thread, what ended threads had, and what was idle too long."""
        unused: list[C | None] = []
        with self.lock:
            borrower.connection = None
            while self.ended:
                unused.append(self.lent.pop(self.ended.pop(), None))
            unused.append(self.lent.pop(borrower.key, None))
            while self.idle_for is not None and self.idle and time.monotonic() - self.idle[0][1] > self.idle_for:
                unused.append(self.idle.pop(0)[0])
        for connection in unused:
            if connection is not None:
                self.disconnect(connection)

    def _wait(self, deadline: float) -> None:
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
        except BaseException:
            self.discard(borrower)
            raise
        if borrower.connection is None or self.over:
            self.discard(borrower)
            raise StoreUnavailableError(self.target, CLOSED)
        return borrower.connection

    def _leave(self, borrower: Borrower[C]) -> None:
        unused = None
        with self.lock:
            connection = self.lent.get(borrower.key)
            if connection is not None and (self.over or not self.is_in_transaction(connection)):
                borrower.connection, borrower.lost = None, self.over and self.is_in_transaction(connection)
                del self.lent[borrower.key]
                if self.closed or connection in self.outdated or len(self.idle) >= self.max_idle:
                    unused = connection
                else:
                    self.idle.append((connection, 0.0 if self.idle_for is None else time.monotonic()))
                if self.size is not None:
                    self.freed.notify()
            borrower.in_call = False
        if unused is not None:
            if unused in self.outdated:
                self.outdated.remove(unused)
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
        """Use the connections that are open no more, so that later ones have what was registered meanwhile."""
        with self.lock:
            self.outdated = [connection for connection in self.lent.values() if connection is not None]
        while (connection := self._take_idle()) is not None:
            self.disconnect(connection)

    def _take_idle(self) -> C | None:
        with self.lock:
            return self.idle.pop()[0] if self.idle else None

    def _take_unused(self, mine: Borrower[C], or_in_transaction: bool) -> C | None:
        """A connection that is in no call and, if that matters, in no transaction; it is nobody's any more."""
        with self.lock:
            for key, connection in self.lent.items():
                borrower = key()
                if connection is None or borrower is not None and borrower.in_call:
                    continue
                open_transaction = self.is_in_transaction(connection)
                if borrower is None or not open_transaction or or_in_transaction and borrower is not mine:
                    if borrower is not None:
                        borrower.connection, borrower.lost = None, open_transaction
                    del self.lent[key]
                    return connection
            return None

    def drain(self, mine: Borrower[C], patience: float, *, and_transactions: bool = False) -> bool:
        """Close every connection, each once no call and no transaction is under way on it; whether none is left.

        This thread's own is not waited for.

        Args:
            patience: how many seconds to wait for that.
            and_transactions: whether transactions are not waited for but rolled back.
        """
        while True:
            while (connection := self._take_idle() or self._take_unused(mine, and_transactions)) is not None:
                self.disconnect(connection)
            with self.lock:
                used = [key() for key, connection in self.lent.items() if connection is not None]
            if patience <= 0 or all(borrower is mine for borrower in used):
                return not used
            time.sleep(POLL)
            patience -= POLL  # what was slept is counted, and no clock read: tests of users freeze clocks

    def wait_for_calls(self, mine: Borrower[C], patience: float) -> bool:
        """Wait until no other thread is in a call, for so many seconds at most; whether none is."""
        while True:
            with self.lock:
                borrowers = [key() for key in self.lent]
            if not any(each is not None and each is not mine and each.in_call for each in borrowers):
                return True
            if patience <= 0:
                return False
            time.sleep(POLL)
            patience -= POLL

    def close(self, mine: Borrower[C], patience: float) -> bool:
        """Lend nothing more, and close every connection; whether a transaction of this thread's was rolled back.

        Calls and transactions of other threads are waited for at most so many seconds. A transaction is rolled back
        then; a connection on which a call is under way is closed when the call has ended.
        """
        self.closed, self.lending = True, False
        if self.process != os.getpid():
            self.keep_inherited()
            return False
        with self.lock:
            self.freed.notify_all()
        # First this thread's own, whose transaction the others may be waiting for.
        own = mine.connection is not None and self.is_in_transaction(mine.connection)
        if not mine.in_call:
            self.discard(mine)
        self.drain(mine, patience)
        self.over = True
        self.drain(mine, 0.0, and_transactions=True)
        return own

    # Forks

    def pause(self) -> None:
        """Lend nothing until :meth:`resume`; transactions that are open go on."""
        self.lending, self.forking = False, threading.get_ident()

    def resume(self) -> None:
        """Go on lending."""
        with self.lock:
            self.lending, self.forking = not self.closed, None
            self.freed.notify_all()

    def keep_inherited(self) -> bool:
        """In a forked child: let no connection of the parent's be closed, not by its end either; whether any is."""
        inherited = [each for each in (*(idle for idle, _ in self.idle), *self.lent.values()) if each is not None]
        for connection in inherited:
            _keep_for_ever(connection)
        self.idle, self.lent = [], {}
        return bool(inherited)

    def go_on_in_child(self, mine: Borrower[C]) -> bool:
        """In a forked child: use the connections that were copied; False if another thread was in a call on one."""
        others = [(key, key(), connection) for key, connection in self.lent.items() if key is not mine.key]
        if any(borrower is not None and borrower.in_call for _, borrower, _ in others):
            return False
        idle, lent, ended = self.idle, self.lent, self.ended
        self.begin(os.getpid())
        self.idle, self.lent, self.ended = idle, lent, ended
        for key, _, connection in others:
            del lent[key]
            if connection is not None:
                self.disconnect(connection)  # its thread is not there to end the transaction
        return True


def _keep_for_ever(connection: object) -> None:
    import ctypes  # seldom needed, and slow to import

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
