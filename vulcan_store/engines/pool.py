"""A pool: a connection is lent for one call or one transaction, and belongs to nobody in between.

It stays with the thread that used it last until another needs one, so a thread that goes on with its own has no lock
to take. A thread says what it is about to use, and then looks whether it still has that. Whoever takes a connection
away, under the lock, does so first, and puts it back if the thread has said that it uses it, or is in a transaction.
The lock is never held during a call.

A signal handler may raise wherever Python looks for signals: as it begins a function, ends a call of one, or jumps back
in a loop; between no two lines here that do none of these. And neither a loop nor a comprehension that ends with a
condition stands within a ``with`` of the lock: from CPython 3.12 on its jump belongs to no block, so that an exception
there would leave the lock taken.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
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
WITHIN = "no connection is free, and an object's end (__del__) cannot wait for one here: others wait for it"

POLL = 0.001
"""Seconds between two looks at whether a call or a transaction has ended, for which a fork or a closing waits."""
MAX_WAIT = 1.0
"""Seconds between two looks for a free connection, should an interruption have kept somebody from saying so."""
MAX_OPEN = 16
"""How many connections to files stay open after a call, each with two descriptors; sixteen threads create a quarter
more with as many than with four. While more are open, each call closes its own."""


class Presence:
    """What a thread alone refers to; once it is dead, the thread has ended."""


@dataclass(eq=False, slots=True)
class Borrower(Generic[C]):
    """What the pool knows of a thread.

    Attributes:
        connection: what it has used last, or uses. Nobody takes it away during a call or a transaction.
        using: the same while a call is under way, else None.
        opening: whether a connection is being opened for it.
        handed: whether it was just given its connection, for which it waited.
        wake: held while it waits.
        outdated: whether its connection is to be closed after the call or the transaction: it lacks what was registered
            meanwhile, or all are closed.
        over: whether its transaction is to be rolled back as soon as it is in no call.
        lost: whether its transaction was ended by a closing or a fork, of which it has not been told.
        since: when its last call ended, where connections are closed that were idle too long.
        blocks: Peewee's blocks that it is in.
    """

    blocks: list[Any]
    connection: C | None = None
    using: C | None = None
    opening: bool = False
    handed: bool = False
    wake: threading.Lock = field(default_factory=threading.Lock)
    outdated: bool = False
    over: bool = False
    lost: bool = False
    since: float = 0.0


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
        self.closed = self.over = False
        self.begin(os.getpid())

    def begin(self, process: int | None) -> None:
        """Lend connections in a process from now on; None for one that has to be refused."""
        self.process = process
        self.lock = threading.RLock()  # an object's end may use the store, and garbage may be collected here
        self.waiting: list[Borrower[C]] = []
        self.borrowers: dict[weakref.ref[Presence], Borrower[C]] = {}
        self.ended: list[weakref.ref[Presence]] = []
        self.unused: list[C] = []  # what is to be closed; what an interruption leaves here is closed by who comes next
        self.forking: int | None = None  # the thread for which lending pauses
        self.lending = not self.closed
        self.settled = False  # see _settle()

    def is_closed_up(self) -> bool:
        """Whether no connection is open, for sure, while nothing is lent and none can be opened.

        The lock is not waited for, as its owner may be waiting for whoever asks, and not tried: an interruption just
        after that would leave it taken. What its owner was moving meanwhile is not in use any more.
        """
        return not self.seen() and "unlocked" in repr(self.lock) and not self.unused

    def lent(self) -> list[Borrower[C]]:
        """The threads that have a connection."""
        with self.lock:  # or one might just be taken away and put back
            return self.seen()

    def seen(self) -> list[Borrower[C]]:
        """The threads that have a connection, as far as can be seen without the lock."""
        # Of a list that is made at one step, as others join meanwhile.
        return [borrower for borrower in list(self.borrowers.values()) if borrower.connection is not None]

    def held(self, borrower: Borrower[C]) -> C | None:
        """The connection that a thread has for the call or the transaction that it is in."""
        with self.lock:  # or it might just be taken away and put back
            connection = borrower.connection
            in_use = borrower.using is not None or connection is not None and self.is_in_transaction(connection)
            return connection if in_use else None

    # Lending

    def join(self, blocks: list[Any]) -> tuple[Presence, Borrower[C]]:
        """Lend to one more thread, which has to keep the first of the two for as long as it lives."""
        presence, borrower = Presence(), Borrower[C](blocks)
        self.borrowers[weakref.ref(presence, self.ended.append)] = borrower
        return presence, borrower

    def take(self, borrower: Borrower[C]) -> C:
        """A connection to be used: the thread's own, another's that is in no call and no transaction, or a new one."""
        deadline = time.monotonic() + self.timeout
        borrower.using = None
        try:
            while True:
                self.require_use(borrower)
                with self.lock:
                    self._find(borrower)
                    self._drop_of_ended_threads()
                    borrower.opening = borrower.using is None and self.lending and self._may_open(borrower)
                    needs = borrower.using is None and not borrower.opening
                    if needs and not self.closed and borrower not in self.waiting:
                        borrower.wake.acquire(blocking=False)
                        self.waiting.append(borrower)
                self.close_unused()
                connection = borrower.using
                if borrower.opening:
                    return self._open(borrower)
                if connection is None:
                    self._wait(borrower, deadline)
                elif self.is_usable is None or self.is_in_transaction(connection) or self.is_usable(connection):
                    return connection
                else:
                    self.discard(borrower)
        finally:
            if borrower in self.waiting:
                self._wake(borrower)
            borrower.opening = borrower.handed = False

    def _find(self, borrower: Borrower[C]) -> None:
        """Let a thread use the connection that it has, or one that lies idle."""
        for idle in self.lent() if self.idle_for else ():
            if time.monotonic() - idle.since > self.idle_for:
                self._retire(idle)
        others = iter(self.lent() if self.lending else ())
        while borrower.connection is None and (other := next(others, None)) is not None:
            found = None if other.outdated else self._take_away(other)
            if borrower.connection is not None:  # of a finalizer that used the store just now
                self.unused.append(borrower.connection)
            borrower.connection = found
        if borrower.connection is not None and (self.lending or self.is_in_transaction(borrower.connection)):
            borrower.using = borrower.connection

    def _wait(self, borrower: Borrower[C], deadline: float) -> None:
        if self.lock._is_owned():  # type: ignore[attr-defined]
            raise StoreUnavailableError(self.target, WITHIN)
        # Without a limit it is for a fork to end, which does so by itself.
        left = MAX_WAIT if self.size is None else deadline - time.monotonic()
        if left <= 0:
            raise StoreUnavailableError(
                self.target,
                f"none of its {self.size} connections was free for {self.timeout:g} s; shorten transactions, or "
                "allow more with ?pool_size= in the URL",
            )
        if borrower in self.waiting:
            borrower.wake.acquire(timeout=min(left, MAX_WAIT))

    def _wake(self, borrower: Borrower[C]) -> None:
        with self.lock:
            if borrower in self.waiting:
                self.waiting.remove(borrower)
                borrower.wake.release()

    def _take_away(self, borrower: Borrower[C]) -> C | None:
        """A thread's connection, or None if it is in a call or, while that may go on, in a transaction."""
        connection = borrower.connection
        if connection is None or borrower.handed or self._is_kept(borrower, connection):
            return None
        borrower.connection = None
        try:
            kept, lost = self._is_kept(borrower, connection), self.over and self.is_in_transaction(connection)
        except BaseException:
            borrower.connection = connection
            raise
        if kept:
            borrower.connection = connection
            return None
        borrower.outdated, borrower.over, borrower.lost = False, False, lost
        return connection

    def _is_kept(self, borrower: Borrower[C], connection: C) -> bool:
        over = self.over or borrower.over
        return borrower.using is not None or not over and self.is_in_transaction(connection)

    def _may_open(self, borrower: Borrower[C]) -> bool:
        others = (each for each in list(self.borrowers.values()) if each is not borrower)
        return self.size is None or sum(each.opening or each.connection is not None for each in others) < self.size

    def _drop_of_ended_threads(self) -> None:
        while self.ended:
            key = self.ended[0]
            self._drop(self.borrowers.get(key))
            self.borrowers.pop(key, None)
            if self.ended[:1] == [key]:
                del self.ended[0]

    def _drop(self, borrower: Borrower[C] | None) -> None:
        """Take a thread's connection away, whatever is under way on it, to close it."""
        connection = None if borrower is None else borrower.connection
        if borrower is not None and connection is not None:
            borrower.connection = None
            self.unused.append(connection)

    def _retire(self, borrower: Borrower[C]) -> bool:
        connection = self._take_away(borrower)
        if connection is not None:
            self.unused.append(connection)
        return connection is not None

    def close_unused(self) -> None:
        """Close what is to be closed."""
        while found := self.unused[-1:]:
            self.disconnect(*found)
            with self.lock:
                if found[0] in self.unused:
                    self.unused.remove(found[0])

    def lend_another(self, work: Callable[[C], T]) -> T:
        """Call a function with a connection that is in no transaction, whatever this thread is in, and close it."""
        presence, borrower = self.join([])
        borrower.outdated = True  # nobody may have it afterwards, should an interruption keep it from being closed
        try:
            return work(self.take(borrower))
        finally:
            borrower.using = None
            self.discard(borrower)
            del presence

    def require_use(self, borrower: Borrower[C]) -> None:
        """Raise StoreUnavailableError where nothing is lent to this thread."""
        lost, borrower.lost = borrower.lost, False
        if self.process != os.getpid():
            self.keep_inherited(None)
            reason = CLOSED if self.closed else FORKED
        elif lost:
            reason = ENDED
        elif not (self.closed or self.forking == threading.get_ident()) or self.held(borrower) is not None:
            return  # it is lent, or goes on in its transaction
        else:
            reason = CLOSED if self.closed else FORKING
        raise StoreUnavailableError(self.target, reason)

    def _open(self, borrower: Borrower[C]) -> C:
        def note(connection: C) -> None:
            # Without the lock, whose owner may be waiting for the end of this opening.
            self._drop(borrower)  # what a finalizer has got meanwhile that uses the store
            borrower.using = borrower.connection = connection

        try:
            self.connect(note)
            self._settle()
            if borrower.connection is None or self.over:
                raise StoreUnavailableError(self.target, CLOSED)
            return borrower.connection
        except BaseException:
            self.discard(borrower)
            raise

    def give_back(self, borrower: Borrower[C]) -> None:
        """Look, after a call, whether the connection is to be closed, and whether somebody waits for it."""
        borrower.since = time.monotonic() if self.idle_for else 0.0
        if self.size is not None:
            with self.lock:
                if borrower.outdated:
                    self._retire(borrower)
                if self.waiting and self.waiting[0].connection is None:
                    # Who has waited longest is next, or a thread that goes on and on would keep its connection.
                    first = self.waiting[0]
                    first.connection = self._take_away(borrower)
                    first.handed = first.connection is not None
                    self._wake(first)
        else:
            with self.lock:
                if borrower.outdated or len(self.seen()) > MAX_OPEN:
                    self._retire(borrower)
            self._settle()
        self.close_unused()

    def _settle(self) -> None:
        """Note whether who ends a call can leave its connection where it is."""
        with self.lock:
            lent = self.lent()
            outdated = any([borrower.outdated for borrower in lent])
            self.settled = self.size is None and len(lent) <= MAX_OPEN and not outdated

    # Closing

    def discard(self, borrower: Borrower[C]) -> None:
        """Close the connection of a thread, which rolls its transaction back."""
        with self.lock:
            self._drop(borrower)
            borrower.using = None
            borrower.outdated = borrower.over = False
            if self.waiting:
                self._wake(self.waiting[0])  # it may open one
        self.close_unused()

    def end_transaction(self, borrower: Borrower[C]) -> None:
        """Roll a thread's transaction back, after the call that it may be in."""
        with self.lock:
            self.settled = False
            borrower.outdated = borrower.over = borrower.connection is not None
            self._retire(borrower)
        self._settle()
        self.close_unused()

    def retire(self) -> None:
        """Close what is neither in a call nor, while transactions may go on, in a transaction; the others afterwards.

        Later connections have what was registered meanwhile.
        """
        with self.lock:
            self.settled = False  # before it is looked at who is in a call
            self._drop_of_ended_threads()
            for borrower in list(self.borrowers.values()):
                borrower.outdated = not self._retire(borrower) and (borrower.opening or borrower.connection is not None)
        self._settle()
        self.close_unused()

    def drain(self, mine: Borrower[C], patience: float, *, keep: bool = False) -> bool:
        """Close every connection, once no call and no transaction is under way on it; whether none is left.

        This thread's own is not waited for.

        Args:
            patience: how many seconds to wait for that.
            keep: whether to close nothing, and to wait for calls alone.
        """
        while True:
            if not keep:
                self.retire()
            lent = self.lent()
            used = [each for each in lent if each is not mine and (each.using is not None or not keep)]
            if keep or self.closed:  # an opening may wait for a lock, but a fork waits for none
                used += [each for each in list(self.borrowers.values()) if each.opening]
            if patience <= 0 or not used:
                return not lent
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
        with self.lock:
            self.lending = self.settled = False
        # First this thread's own, whose transaction the others may be waiting for.
        own = mine.connection is not None and self.is_in_transaction(mine.connection)
        if mine.using is None:
            self.discard(mine)
        self.resume()
        self.drain(mine, patience)
        self.over = True
        self.drain(mine, 0.0)
        return own

    # Forks

    def pause(self) -> None:
        """Lend nothing until :meth:`resume`; transactions that are open go on."""
        with self.lock:
            self.lending, self.forking = False, threading.get_ident()

    def resume(self) -> None:
        """Go on lending, unless it was closed, and tell those who wait."""
        with self.lock:
            self.lending, self.forking = not self.closed, None
            self._wake_all()

    def _wake_all(self) -> None:
        while self.waiting:
            self._wake(self.waiting[0])

    def keep_inherited(self, process: int | None) -> bool:
        """In a forked child: begin anew, and let no connection of the parent's be closed; whether any is inherited.

        Nor does the child's end close them. The lock is a new one, as whoever held it is not there.
        """
        lent = [borrower.connection for borrower in self.borrowers.values() if borrower.connection is not None]
        for connection in (*self.unused, *lent):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        for borrower in self.borrowers.values():
            borrower.connection = None
        inherited = bool(self.unused or lent)
        self.begin(process)
        return inherited

    def go_on_in_child(self, mine: Borrower[C]) -> bool:
        """In a forked child: use the connections that were copied; False if another thread was in a call on one."""
        others = [key for key, borrower in self.borrowers.items() if borrower is not mine]
        if any(self.borrowers[key].using is not None for key in others):
            return False
        borrowers, ended = self.borrowers, self.ended
        self.begin(os.getpid())
        self.borrowers, self.ended = borrowers, ended
        ended.extend(others)  # those threads are not there to end a transaction
        return True
