"""A pool: a connection is lent for one statement or one transaction, and belongs to nobody in between."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import compress
from operator import attrgetter, methodcaller
from typing import Any, Generic, NoReturn, TypeVar

from vulcan_store.engines.mark import new_mark
from vulcan_store.errors import StoreUnavailableError

C = TypeVar("C")
T = TypeVar("T")

CLOSED = "it was closed; call open_store() to open it again"
FORKED = (
    "this process was forked while a connection was in use (a transaction, a long call) or behind Python's back, "
    "and a connection cannot be used across that; close the store before the fork, or start the process "
    "with another method than fork"
)
FORKING = "this thread is about to fork, which has to wait until no connection is in use; use the store before or after"

POLL = 0.001
"""Seconds between two looks at whether a transaction has ended, for which a fork waits."""


class Slot(Generic[C]):
    """The place of one connection.

    Attributes:
        connection: None until it is open, and again once it is closed.
        lock: held by the thread that is in the middle of a call on the connection. Reentrant: what a call reads from
            (the iterable of a bulk insert) may itself use the connection.
        in_call: whether such a call is under way.
        thread: whose transaction is open on it between two statements, or None.
        generation: which of the pool's generations it belongs to, see :meth:`Pool.retire`.
    """

    __slots__ = ("connection", "lock", "in_call", "thread", "generation")

    def __init__(self, generation: int) -> None:
        self.connection: C | None = None
        self.lock = threading.RLock()
        self.in_call = False
        self.thread: threading.Thread | None = None
        self.generation = generation


class Pool(Generic[C]):
    """Connections of one database.

    Whoever takes a slot finds out under the slot's lock whether its connection is still there, and takes another one if
    not; whoever closes, forks or reclaims has that lock while it closes the connection. So slots may go in and out of
    ``idle`` without the pool's lock, in one step of the interpreter each, and a signal handler may raise at any moment:
    at worst a slot is then neither idle nor used by anybody, and is reclaimed before the next connection is opened.

    Args:
        target: what was opened, for errors.
        connect, disconnect: open and close a connection.
        is_in_transaction: whether a transaction is open on a connection.
        is_usable: whether a connection that lay idle can still be used.
        max_idle: how many idle connections are kept; further ones are closed at once.
        size: how many connections there may be; None for as many as there are calls at once.
        timeout: seconds that a caller waits for one of them.
    """

    def __init__(
        self,
        target: str,
        connect: Callable[[], C],
        disconnect: Callable[[C], None],
        is_in_transaction: Callable[[C], bool],
        is_usable: Callable[[C], bool] | None = None,
        *,
        max_idle: int,
        size: int | None = None,
        timeout: float = 0.0,
    ) -> None:
        self.target, self.connect, self.disconnect = target, connect, disconnect
        self.is_in_transaction, self.is_usable = is_in_transaction, is_usable
        self.max_idle, self.size, self.timeout = max_idle, size, timeout
        self.slots: list[Slot[C]] = []
        self.idle: list[Slot[C]] = []
        self.generation = 0
        self.closed = False
        self.begin(os.getpid())

    def begin(self, process: int | None) -> None:
        """Lend connections in a process from now on; None for one that has to be refused."""
        self.process = process
        self.mark = (0,) if process is None else new_mark()
        self.lock = threading.RLock()  # an object's end may use the store, and garbage may be collected here
        self.waiting: list[threading.Lock] = []
        self.kept: set[Slot[C]] = set()
        self.lending = not self.closed
        self.forking: int | None = None  # the thread for which lending pauses

    def take(self) -> Slot[C]:
        """A slot whose connection was idle, or is opened now.

        Raises:
            StoreUnavailableError: the pool is closed, this process may not use it, or no connection is free in time.
        """
        if not self.mark[0]:
            self.refuse_forked()
        if self.kept and not all(map(_has_living_thread, tuple(self.kept))):
            self._reclaim()
        if self.lending:
            try:
                slot = self.idle.pop()
            except IndexError:
                pass
            else:
                if self.is_usable is None or self._can_use(slot):
                    return slot
        return self._take_when_possible()

    def lend(self, work: Callable[[C], T]) -> T:
        """Call a function with a connection that is in no transaction, whatever this thread is in."""
        while True:
            slot = self.take()
            with slot.lock:
                if slot.connection is not None:
                    slot.in_call = True
                    try:
                        return work(slot.connection)
                    finally:
                        slot.in_call = False
                        self.give_back(slot)

    def _can_use(self, slot: Slot[C]) -> bool:
        if self.is_usable is None or slot.connection is not None and self.is_usable(slot.connection):
            return True
        self.discard(slot)
        return False

    def _take_when_possible(self) -> Slot[C]:
        deadline = time.monotonic() + self.timeout
        while True:
            slot = self._idle_one() if self.lending else None
            if slot is None:
                self._reclaim()
                slot = Slot(self.generation)
                with slot.lock:
                    waiter = self._reserve(slot)
                    if waiter is None:
                        self._connect(slot)
                        return slot
                self._wait(waiter, deadline)
            elif self._can_use(slot):
                return slot

    def _idle_one(self) -> Slot[C] | None:
        try:
            return self.idle.pop()
        except IndexError:
            return None

    def _reserve(self, slot: Slot[C]) -> threading.Lock | None:
        """Make a slot one of the pool's, or return the lock that is released when it is worth another try."""
        with self.lock:
            if self.closed:
                raise StoreUnavailableError(self.target, CLOSED)
            if self.forking == threading.get_ident():
                raise StoreUnavailableError(self.target, FORKING)
            if self.lending and (self.size is None or len(self.slots) < self.size):
                self.slots.append(slot)
                return None
            waiter = threading.Lock()
            waiter.acquire()
            self.waiting.append(waiter)
            if self.idle:  # given back since it was looked for
                self._serve()
            return waiter

    def _connect(self, slot: Slot[C]) -> None:
        slot.in_call = True
        try:
            slot.connection = self.connect()
        finally:
            slot.in_call = False
            if slot.connection is None:
                self._remove(slot)

    def _wait(self, waiter: threading.Lock, deadline: float) -> None:
        served = False
        try:
            # Without a limit it is for a fork to end, which does so by itself.
            served = waiter.acquire(timeout=-1 if self.size is None else max(0.0, deadline - time.monotonic()))
        finally:
            if not served:
                with self.lock:
                    if waiter in self.waiting:
                        self.waiting.remove(waiter)
                    else:
                        self._serve()  # it was served all the same, so it is the next one's turn
        if not served:
            raise StoreUnavailableError(
                self.target,
                f"none of its {self.size} connections was free for {self.timeout:g} s; shorten transactions, or "
                "allow more with ?pool_size= in the URL",
            )

    def _serve(self) -> None:
        with self.lock:
            if self.waiting:
                self.waiting.pop(0).release()

    def _reclaim(self) -> None:
        # What a thread left when it ended in the middle of a transaction, or an interruption between two calls.
        for slot in list(self.slots):
            locked: list[Slot[C]] = []
            try:
                _lock(slot, 0.0, locked)
                if locked and not slot.in_call and slot not in self.idle:
                    if slot.thread is None or not slot.thread.is_alive():
                        self.discard(slot)
            finally:
                _unlock(locked)

    def give_back(self, slot: Slot[C]) -> None:
        """Let others have a slot, whose lock is held, or close its connection if enough are idle."""
        idle = self.idle
        if (
            (len(idle) < self.max_idle or self.waiting)
            and slot.generation == self.generation and not self.closed and slot.connection is not None
        ):  # fmt: skip
            idle.append(slot)
            if self.waiting:
                self._serve()
        else:
            self.discard(slot)

    def discard(self, slot: Slot[C]) -> None:
        """Close a slot's connection and forget the slot."""
        connection, slot.connection = slot.connection, None
        self._remove(slot)
        if connection is not None:
            self.disconnect(connection)

    def _remove(self, slot: Slot[C]) -> None:
        self.kept.discard(slot)
        for slots in (self.slots, self.idle):
            try:
                slots.remove(slot)
            except ValueError:
                pass
        if self.waiting:
            self._serve()

    def retire(self) -> None:
        """Use the connections that are open no more, so that later ones have what was registered meanwhile."""
        self.generation += 1
        while (slot := self._idle_one()) is not None:
            with slot.lock:
                self.discard(slot)

    def close(self, patience: float) -> None:
        """Lend nothing more, and close every connection: each after the call that it is in, at most so many seconds.

        A transaction between two statements is rolled back. What is in use for longer is closed when it is given back.
        """
        self.closed, self.lending = True, False
        if self.process != os.getpid():
            self.keep_inherited()
            return
        self._serve_all()
        # First this thread's own, whose transaction the others may be waiting for.
        for slot in sorted(self.slots, key=lambda slot: slot.thread is not threading.current_thread()):
            patience = self._close_when_free(slot, patience)

    def _serve_all(self) -> None:
        with self.lock:
            while self.waiting:
                self._serve()

    def _close_when_free(self, slot: Slot[C], patience: float, *, wait_for_transaction: bool = False) -> float:
        """Close a slot's connection, unless it is in use for so many seconds; how many of them are left."""
        while True:
            start, locked = time.monotonic(), list[Slot[C]]()
            try:
                _lock(slot, max(0.0, patience), locked)
                # In a call though its lock could be had: the call is this thread's.
                done = not locked or slot.in_call
                if not done and not (wait_for_transaction and self._is_in_transaction(slot)):
                    self.discard(slot)
                    done = True
            finally:
                _unlock(locked)
            patience -= time.monotonic() - start
            if done or patience <= 0 or slot.thread is threading.current_thread():
                return patience
            time.sleep(POLL)
            patience -= POLL  # what was slept is counted as well: tests of users freeze clocks

    def _is_in_transaction(self, slot: Slot[C]) -> bool:
        return slot.connection is not None and self.is_in_transaction(slot.connection)

    # Forks

    def pause(self) -> None:
        """Lend nothing until :meth:`resume`."""
        self.lending, self.forking = False, threading.get_ident()

    def resume(self) -> None:
        """Go on lending."""
        self.lending, self.forking = not self.closed, None
        self._serve_all()

    def drain(self, patience: float) -> None:
        """Close every connection, each when no call and no transaction is under way on it, within so many seconds."""
        self._reclaim()
        for slot in list(self.slots):
            patience = self._close_when_free(slot, patience, wait_for_transaction=True)

    def hold(self, patience: float, held: list[Slot[C]]) -> None:
        """Add every slot to ``held`` and lock it, each when no call is under way, within so many seconds."""
        for slot in list(self.slots):
            start = time.monotonic()
            _lock(slot, max(0.0, patience), held)
            patience -= time.monotonic() - start

    def release(self, held: list[Slot[C]]) -> None:
        """Give back the locks that :meth:`hold` has taken."""
        _unlock(held)
        del held[:]

    def keep_inherited(self) -> None:
        """In a forked child: let no connection of the parent's be closed, not by its end either."""
        for slot in self.slots:
            if slot.connection is not None:
                _keep_for_ever(slot.connection)
                slot.connection = None
        self.slots, self.idle, self.kept = [], [], set()

    def refuse_forked(self) -> NoReturn:
        """Raise StoreUnavailableError in a child that may not use the pool."""
        self.keep_inherited()
        self.process, self.mark = None, (0,)
        raise StoreUnavailableError(self.target, CLOSED if self.closed else FORKED)


# In C, so that no signal handler comes in between the locking and the noting of it.

def _lock(slot: Slot[C], seconds: float, locked: list[Slot[C]]) -> None:
    """Add a slot to those that are locked, unless another thread's call on it is under way for so many seconds."""
    locked.extend(compress((slot,), map(slot.lock.acquire, (True,), (seconds,))))


def _unlock(locked: list[Slot[C]]) -> None:
    list(map(_release, map(_lock_of, locked)))


_release, _lock_of = methodcaller("release"), attrgetter("lock")


def _has_living_thread(slot: Slot[Any]) -> bool:
    return slot.thread is None or slot.thread.is_alive()


def _keep_for_ever(connection: object) -> None:
    import ctypes  # seldom needed, and slow to import

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
