"""A pool: a connection is lent for one statement or one transaction, and belongs to nobody in between."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from vulcan_store.errors import StoreUnavailableError

C = TypeVar("C")

CLOSED = "it was closed; call open_store() to open it again"
FORKED = (
    "this process was forked while a connection was in use (a transaction, a long call) or behind Python's back, "
    "and a connection cannot be used across that; close the store before the fork, or start the process "
    "with another method than fork"
)


class Slot(Generic[C]):
    """The place of one connection.

    Attributes:
        connection: None until it is open, and again once it is closed.
        lock: held by the thread that is in the middle of a call on the connection.
        thread: whose transaction is open on it between two statements, or None.
    """

    __slots__ = ("connection", "lock", "thread", "generation")

    def __init__(self, generation: int) -> None:
        self.connection: C | None = None
        # Reentrant: what a call reads from (the iterable of a bulk insert) may itself use the connection.
        self.lock = threading.RLock()
        self.thread: threading.Thread | None = None
        self.generation = generation


class Pool(Generic[C]):
    """Connections of one database.

    A signal handler may raise at any moment. So a thread that has taken a slot keeps it where its next call finds it
    (:class:`vulcan_store.engines.lending.LendingDatabase`), and whoever closes or forks asks each slot's lock whether a
    call is under way.

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
        self.generation = self.waiting = 0
        self.closed = False
        self.begin(os.getpid())

    def begin(self, process: int | None) -> None:
        """Lend connections in a process from now on; None for one that has to be refused."""
        self.process = process
        self.lock = threading.RLock()  # an object's end may use the store, and garbage may be collected here
        self.freed = threading.Condition(self.lock)
        self.lending = True

    def take(self) -> Slot[C]:
        """A slot whose connection is idle, or is opened now.

        Raises:
            StoreUnavailableError: the pool is closed, this process may not use it, or no connection is free in time.
        """
        if self.process != os.getpid():
            self.refuse_forked()
        while True:
            with self.lock:
                slot = self.idle.pop() if self.lending and self.idle else None
            if slot is None:
                return self._take_when_possible()
            if self.is_usable is None or slot.connection is not None and self.is_usable(slot.connection):
                return slot
            self.discard(slot)

    def _take_when_possible(self) -> Slot[C]:
        slot: Slot[C] = Slot(self.generation)
        with slot.lock:
            with self.freed:
                while not self.lending or self._is_full():
                    if self.closed:
                        raise StoreUnavailableError(self.target, CLOSED)
                    if self.lending and self.idle:
                        return self.idle.pop()
                    self._wait()
                self.slots.append(slot)
            try:
                slot.connection = self.connect()
            finally:
                if slot.connection is None:
                    self._remove(slot)
        return slot

    def _is_full(self) -> bool:
        if self.size is None or len(self.slots) < self.size:
            return False
        self._reclaim()
        return len(self.slots) >= self.size

    def _wait(self) -> None:
        self.waiting += 1
        try:
            # A fork, for which lending pauses, ends by itself.
            if not self.freed.wait(self.timeout if self.lending else None):
                raise StoreUnavailableError(
                    self.target,
                    f"none of its {self.size} connections was free for {self.timeout:g} s; shorten transactions, or "
                    "allow more with ?pool_size= in the URL",
                )
        finally:
            self.waiting -= 1

    def _reclaim(self) -> None:
        # What a thread left when it ended in the middle of a transaction.
        for slot in list(self.slots):
            if slot.thread is not None and not slot.thread.is_alive():
                self.discard(slot)

    def give_back(self, slot: Slot[C]) -> None:
        """Let others have a slot, or close its connection if enough are idle."""
        with self.lock:
            if slot in self.idle:
                return
            wanted = len(self.idle) < self.max_idle or self.waiting
            if wanted and not self.closed and slot.generation == self.generation and slot.connection is not None:
                self.idle.append(slot)
                if self.waiting:
                    self.freed.notify()
                return
        self.discard(slot)

    def discard(self, slot: Slot[C]) -> None:
        """Close a slot's connection and forget the slot."""
        connection, slot.connection = slot.connection, None
        self._remove(slot)
        if connection is not None:
            self.disconnect(connection)

    def _remove(self, slot: Slot[C]) -> None:
        with self.lock:
            for slots in (self.slots, self.idle):
                if slot in slots:
                    slots.remove(slot)
            if self.waiting:
                self.freed.notify()

    def retire(self) -> None:
        """Use the connections that are open no more, so that later ones have what was registered meanwhile."""
        with self.lock:
            self.generation += 1
            idle, self.idle = self.idle, []
        for slot in idle:
            with slot.lock:
                self.discard(slot)

    def close(self, patience: float) -> None:
        """Lend nothing more, and close every connection: each after the call that it is in, at most so many seconds.

        A transaction between two statements is rolled back. What is in use for longer is closed when it is given back.
        """
        with self.lock:
            self.closed, self.lending = True, False
            slots = list(self.slots)
            self.freed.notify_all()
        if self.process != os.getpid():
            self.keep_inherited()
            return
        deadline = time.monotonic() + patience
        # First this thread's own, whose transaction the others may be waiting for.
        slots.sort(key=lambda slot: slot.thread is not threading.current_thread())
        for slot in slots:
            if _is_mine(slot) or not slot.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                continue
            try:
                self.discard(slot)
            finally:
                slot.lock.release()

    # Forks

    def pause(self) -> None:
        """Lend nothing until :meth:`resume`."""
        with self.lock:
            self.lending = False

    def resume(self) -> None:
        """Go on lending."""
        with self.freed:
            self.lending = not self.closed
            self.freed.notify_all()

    def drain(self, deadline: float) -> None:
        """Close every connection, each when no call and no transaction is under way on it, until a deadline."""
        for slot in list(self.slots):
            while not _is_mine(slot) and slot.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                try:
                    busy = slot.connection is not None and self.is_in_transaction(slot.connection)
                    if not busy:
                        self.discard(slot)
                finally:
                    slot.lock.release()
                if not busy or slot.thread is threading.current_thread() or time.monotonic() > deadline:
                    break
                time.sleep(0.001)

    def hold(self, deadline: float) -> list[Slot[C]]:
        """The locks of every slot, each taken when no call is under way on its connection, until a deadline."""
        return [
            slot for slot in list(self.slots)
            if _is_mine(slot) or slot.lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
        ]

    def keep_inherited(self) -> None:
        """In a forked child: let no connection of the parent's be closed by its end, which would undo the parent's."""
        for slot in self.slots:
            if slot.connection is not None:
                _keep_for_ever(slot.connection)
        self.slots, self.idle = [], []

    def refuse_forked(self) -> NoReturn:
        """Raise StoreUnavailableError in a child that may not use the pool."""
        self.keep_inherited()
        self.process = None
        raise StoreUnavailableError(self.target, CLOSED if self.closed else FORKED)


def _is_mine(slot: Slot[Any]) -> bool:
    return slot.lock._is_owned()  # type: ignore[attr-defined, no-any-return]


def _keep_for_ever(connection: object) -> None:
    import ctypes  # seldom needed, and slow to import

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
