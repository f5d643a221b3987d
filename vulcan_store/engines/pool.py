"""A pool: a connection is lent for one call or one transaction, and belongs to nobody in between.

Each connection is idle, has a borrower, or is to be closed, and moves from one to the other where neither a signal nor
another thread can come in between. A signal handler may raise, and another thread go on, wherever Python looks for
signals: as it begins a function, ends a call of one, or jumps back in a loop; between no two lines here that do none of
these. And neither a loop nor a comprehension that ends with a condition stands within a ``with`` of the lock: from
CPython 3.12 on its jump belongs to no block, so that an exception there would leave the lock taken.

The lock is for what is decided of several things at once. It is never held during a call, and a call that finds an idle
connection does not take it.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vulcan_store.engines import forks
from vulcan_store.errors import StoreUnavailableError

T = TypeVar("T")
C = TypeVar("C")

CLOSED = "it was closed; call open_store() to open it again (any transaction still open then was rolled back)"
FORKED = (
    "this process was forked while a connection was in use (a transaction, a long call) or behind Python's back, "
    "and a connection cannot be used across that; close the store before the fork, or start the process "
    "with another method than fork"
)
FORKING = "this thread is about to fork, which has to wait until no connection is in use; use the store before or after"
WITHIN = "no connection is free, and an object's end (__del__) cannot wait here: others wait for what it interrupts"

POLL = 0.001
"""Seconds between two looks at whether a call or a transaction has ended, for which a fork or a closing waits."""
MAX_WAIT = 1.0
"""Seconds between two looks for a free connection, should an interruption have kept somebody from saying so."""
MAX_KEPT = 16
"""How many connections to files stay open after a call, each with two descriptors; with as many, sixteen threads create
a third more than with four, and look up a quarter less. Those beyond are closed after their call."""


class Presence:
    """What a thread alone refers to; once it is dead, the thread has ended."""


@dataclass(eq=False, slots=True)
class Borrower(Generic[C]):
    """What the pool knows of a thread.

    Attributes:
        blocks: Peewee's blocks that it is in.
        connection: what it has, for a call or a transaction.
        using: whether a call is under way.
        opening: whether a connection is being opened for it.
        over: whether its transaction is to be rolled back as soon as it is in no call.
    """

    blocks: list[Any]
    connection: C | None = None
    using: bool = False
    opening: bool = False
    over: bool = False


@dataclass(eq=False)
class Pool(Generic[C]):
    """Connections of one database, which are lent.

    Args:
        target: what was opened, for errors.
        connect: opens a connection and hands it to a function, before a fork can come.
        disconnect: closes a connection.
        is_in_transaction: whether a transaction is open on a connection.
        is_usable: whether a connection that lay idle can still be used; None if each can.
        idle_for: seconds after which one that is idle is closed at the next call; 0 for never.
        size: how many connections there may be; None for as many as there are calls at once.
        timeout: seconds that a caller waits for one of them.
    """

    target: str
    connect: Callable[[Callable[[C], None]], None]
    disconnect: Callable[[C], None]
    is_in_transaction: Callable[[C], bool]
    is_usable: Callable[[C], bool] | None = None
    idle_for: float = 0.0
    size: int | None = None
    timeout: float = 0.0

    def __post_init__(self) -> None:
        self.closed = False
        self._forget()
        self._begin(os.getpid())

    def _begin(self, process: int | None) -> None:
        """Lend connections in a process from now on; None for one that has to be refused."""
        self.process = process
        self.lock = threading.RLock()  # an object's end may use the store, and garbage may be collected here
        self.waiting: dict[Borrower[C], threading.Lock] = {}  # the one that has waited longest first, which is next
        self._lend(None)

    def _forget(self) -> None:
        """Know of no thread and no connection."""
        self.borrowers: dict[weakref.ref[Presence], Borrower[C]] = {}
        self.ended: set[weakref.ref[Presence]] = set()
        self.idle: list[C] = []
        self.lendable = iter(self.idle.pop, None)
        self.kept: dict[C, float] = {}  # what is lent again after a call, and when the last one ended
        self.unused: set[C] = set()  # what is to be closed; the next caller closes what an interruption leaves

    def _lend(self, forking: int | None) -> None:
        """Go on lending unless it was closed, or pause for a thread that is about to fork."""
        self.lending, self.forking = not (self.closed or forking), forking
        self.at_once_in = self.process if self.lending and self.size is None else None

    def lent(self) -> list[Borrower[C]]:
        """The threads that have a connection."""
        # Of a list that is made at one step, as others join meanwhile.
        return [borrower for borrower in list(self.borrowers.values()) if borrower.connection is not None]

    # Lending

    def join(self, blocks: list[Any]) -> tuple[Presence, Borrower[C]]:
        """Lend to one more thread, which has to keep the first of the two for as long as it lives."""
        presence, borrower = Presence(), Borrower[C](blocks)
        self.borrowers[weakref.ref(presence, self.ended.add)] = borrower
        return presence, borrower

    def take(self, borrower: Borrower[C]) -> None:
        """Let a thread go on with its connection, or have one: one that lies idle, or a new one."""
        deadline = time.monotonic() + self.timeout
        opening, borrower.opening = borrower.opening, False  # an object's end may take one during an opening
        try:
            while True:
                self._drop_of_ended_threads()
                if borrower.over:
                    self.discard(borrower)
                self.require_use(borrower)
                if borrower.connection is not None:
                    return
                wake = self.waiting.setdefault(borrower, threading.Lock())
                with self.lock:
                    if self.lending and [*self.waiting][:1] == [borrower]:
                        self._find(borrower)
                self.close_unused()
                if borrower.opening:
                    self.waiting.pop(borrower, None)  # or a slow server would let the next one wait too
                    self.tell()
                    return self._open(borrower)
                if borrower.connection is None:
                    self._wait(wake, deadline)
                elif self.is_usable is None or self.is_usable(borrower.connection):
                    return
                else:
                    self.discard(borrower)
        finally:
            borrower.opening = opening
            self.waiting.pop(borrower, None)
            self.tell()

    def _find(self, borrower: Borrower[C]) -> None:
        now = time.monotonic()
        for connection in self.idle[:] if self.idle_for else ():
            if now - self.kept[connection] > self.idle_for:
                self.unused |= {connection}  # no call, so it is nowhere else before it is gone from there
                self.idle.remove(connection)
        if self.idle:
            for borrower.connection in self.lendable:
                break
        else:
            borrower.opening = self._may_open()

    def _may_open(self) -> bool:
        lent = sum(each.opening or each.connection is not None for each in list(self.borrowers.values()))
        return self.size is None or lent < self.size and not self.idle  # as one may have been given back meanwhile

    def _wait(self, wake: threading.Lock, deadline: float) -> None:
        if forks.is_mine(forks.opening_or_closing) or forks.is_mine(self.lock):
            raise StoreUnavailableError(self.target, WITHIN)
        self.tell()  # an object's end may stand between one that is free and the word of it
        # Without a limit it is for a fork to end, which does so by itself.
        left = MAX_WAIT if self.size is None else deadline - time.monotonic()
        if left <= 0:
            raise StoreUnavailableError(
                self.target,
                f"none of its {self.size} connections was free for {self.timeout:g} s; shorten transactions, or "
                "allow more with ?pool_size= in the URL",
            )
        wake.acquire(timeout=min(left, MAX_WAIT))

    def tell(self) -> None:
        """Wake the thread that has waited longest, if there is something for it."""
        if self.waiting and not forks.is_mine(self.lock):
            with self.lock:
                first = [*self.waiting.values()][:1]
                if first and first[0].locked() and (self.closed or self.lending and (self.idle or self._may_open())):
                    first[0].release()

    def require_use(self, borrower: Borrower[C]) -> None:
        """Raise StoreUnavailableError where nothing is lent to this thread."""
        if self.process != os.getpid():
            self.keep_inherited(None)
            reason = CLOSED if self.closed else FORKED
        elif not (self.closed or self.forking == threading.get_ident()) or borrower.connection is not None:
            return  # it is lent, or goes on in its transaction
        else:
            reason = CLOSED if self.closed else FORKING
        raise StoreUnavailableError(self.target, reason)

    def _open(self, borrower: Borrower[C]) -> None:
        kept = self.kept  # what is retired meanwhile is not among those that are kept then

        def note(connection: C) -> None:
            # Without the lock, whose owner may be waiting for the end of this opening.
            borrower.connection = connection
            if len(kept) < (self.size or MAX_KEPT):
                kept[connection] = 0.0

        try:
            self.connect(note)
        except BaseException:
            self.discard(borrower)
            raise
        if borrower.over:
            raise StoreUnavailableError(self.target, CLOSED)

    def give_back(self, borrower: Borrower[C]) -> None:
        """Take a connection back after a call, unless a transaction is open on it that may go on."""
        connection = borrower.connection
        if borrower.over:
            self.discard(borrower)
        elif connection is not None and not self.is_in_transaction(connection):
            now = time.monotonic()
            borrower.connection = None
            if connection in self.kept:
                self.kept[connection] = now
                self.idle.append(connection)
            else:
                self.unused.add(connection)
            self.close_unused()
            self.tell()

    # Closing

    def _drop(self, borrower: Borrower[C]) -> None:
        """Take a thread's connection away, whatever is under way on it, to close it."""
        connection = borrower.connection
        if connection is not None:
            borrower.connection = None
            self.unused.add(connection)
        borrower.over = False  # not before, or the thread might go on with it

    def _drop_of_ended_threads(self) -> None:
        for key in self.ended.copy():
            if borrower := self.borrowers.get(key):  # unless another thread is just doing this
                self._drop(borrower)
            self.borrowers.pop(key, None)
            self.ended.discard(key)

    def close_unused(self) -> None:
        """Close what is to be closed."""
        for connection in self.unused.copy():
            self.disconnect(connection)
            self.kept.pop(connection, None)
            self.unused.discard(connection)

    def discard(self, borrower: Borrower[C], *, now: bool = True) -> None:
        """Close the connection of a thread, which rolls its transaction back.

        Args:
            now: whether this thread asks for it itself; else it is closed after the call that it may be in.
        """
        with self.lock:
            # Before it is looked at whether the thread is in a call.
            borrower.over = borrower.opening or borrower.connection is not None
            if now or not borrower.using:
                self._drop(borrower)
        self.close_unused()
        self.tell()

    def retire(self) -> None:
        """Close what is idle, and the others after their call or transaction.

        Later connections have what was registered meanwhile.
        """
        self.kept = {}
        self.unused |= {*self.idle}
        del self.idle[:]
        self._drop_of_ended_threads()
        self.close_unused()

    def drain(self, mine: Borrower[C], patience: float) -> bool:
        """Close every connection, once no call and no transaction is under way on it; whether there is none any more.

        This thread's own is not waited for.

        Args:
            patience: how many seconds to wait for that.
        """
        while True:
            self.retire()
            # An opening may wait for a lock, and a fork waits for none.
            others = [each for each in list(self.borrowers.values()) if each is not mine]
            used = any(each.connection is not None or self.closed and each.opening for each in others)
            if patience <= 0 or not used:
                return not used and mine.connection is None
            time.sleep(POLL)
            patience -= POLL  # what was slept is counted, and no clock read: tests of users freeze clocks

    def close(self, mine: Borrower[C], patience: float) -> bool:
        """Lend nothing more, and close every connection; whether a transaction of this thread's was rolled back.

        Calls and transactions of other threads are waited for at most so many seconds. A transaction is rolled back
        then; a connection on which a call is under way is closed when the call has ended.
        """
        self.closed = True
        if self.process != os.getpid():
            self.keep_inherited(None)
            return False
        # First this thread's own, whose transaction the others may be waiting for.
        own = mine.connection is not None and self.is_in_transaction(mine.connection)
        if not mine.using:
            self.discard(mine)
        self.resume()
        self.drain(mine, patience)
        for each in list(self.borrowers.values()):
            self.discard(each, now=False)
        return own

    # Forks

    def pause(self) -> None:
        """Lend nothing until :meth:`resume`; transactions that are open go on."""
        self._lend(threading.get_ident())

    def resume(self) -> None:
        """Go on lending, unless it was closed, and tell those who wait."""
        self._lend(None)
        self.tell()

    def keep_inherited(self, process: int | None) -> None:
        """In a forked child: begin anew, and let no connection of the parent's be closed.

        Nor does the child's end close them. The lock is a new one, as whoever held it is not there.
        """
        inherited = [*self.idle, *self.unused, *(borrower.connection for borrower in self.lent())]
        for connection in inherited:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        for borrower in self.borrowers.values():
            borrower.connection = None
        self._forget()
        self._begin(process)

    def go_on_in_child(self, mine: Borrower[C]) -> bool:
        """In a forked child: use the connections that were copied; False if another thread was in a call on one."""
        others = {key: borrower for key, borrower in self.borrowers.items() if borrower is not mine}
        if any(other.using and other.connection is not None for other in others.values()):
            return False
        self._begin(os.getpid())
        self.ended.update(others)  # those threads are not there to end a transaction
        self.retire()
        return True
