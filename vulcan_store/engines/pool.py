"""A pool: a connection is lent for one statement or one transaction, and belongs to nobody in between."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar

from vulcan_store.engines.mark import new_mark
from vulcan_store.engines.slots import LOST_AFTER, C, Slot, Slots, has_living_thread
from vulcan_store.errors import StoreUnavailableError

T = TypeVar("T")

CLOSED = "it was closed; call open_store() to open it again"
FORKED = (
    "this process was forked while a connection was in use (a transaction, a long call) or behind Python's back, "
    "and a connection cannot be used across that; close the store before the fork, or start the process "
    "with another method than fork"
)
FORKING = "this thread is about to fork, which has to wait until no connection is in use; use the store before or after"

NAPS = 0.002, 0.001, 0.0005
"""Seconds for which a caller sleeps, the last first, before it queues up for a connection.

Each that is handed over costs two switches of threads, and where calls are short one is soon free without.
"""


class Waiter(Generic[C]):
    """Who waits for a connection.

    Attributes:
        lock: held until it is worth another try, and again by who has waited.
        slot: what was handed over, if anything was.
    """

    __slots__ = ("lock", "slot")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.slot: Slot[C] | None = None


class Pool(Slots[C]):
    """Connections of one database, which are lent.

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
        super().__init__(disconnect, is_in_transaction)
        self.target, self.connect, self.is_usable = target, connect, is_usable
        self.max_idle, self.size, self.timeout = max_idle, size, timeout
        self.closed = False
        self.begin(os.getpid())

    def begin(self, process: int | None) -> None:
        """Lend connections in a process from now on; None for one that has to be refused."""
        self.process = process
        self.mark = (0,) if process is None else new_mark()
        self.lock = threading.RLock()  # an object's end may use the store, and garbage may be collected here
        self.waiting: list[Waiter[C]] = []
        self.kept = set()
        self.lending = not self.closed
        self.forking: int | None = None  # the thread for which lending pauses

    def take(self) -> Slot[C]:
        """A slot whose connection was idle, or is opened now.

        Raises:
            StoreUnavailableError: the pool is closed, this process may not use it, or no connection is free in time.
        """
        if not self.mark[0]:
            self.refuse_forked()
        if self.kept and not all(map(has_living_thread, tuple(self.kept))):
            self.reclaim()
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
        deadline, naps = time.monotonic() + self.timeout, list(NAPS)
        while True:
            slot = self.take_idle() if self.lending else None
            if slot is None and naps and not self._has_room():
                time.sleep(naps.pop())
                continue
            if slot is None:
                self.reclaim()
                new = Slot[C](self.generation)
                with new.lock:
                    waiter = self._reserve(new)
                    if waiter is None:
                        self._connect(new)
                        return new
                # Without a limit it is for a fork to end, which does so by itself.
                patience = float("inf") if self.size is None else deadline - time.monotonic()
                slot = self._wait(waiter, patience)
            if slot is not None and self._can_use(slot):
                return slot

    def _reserve(self, slot: Slot[C]) -> Waiter[C] | None:
        """Make a slot one of the pool's, or queue up."""
        with self.lock:
            if self.closed:
                raise StoreUnavailableError(self.target, CLOSED)
            if self.forking == threading.get_ident():
                raise StoreUnavailableError(self.target, FORKING)
            if self.lending and self._has_room():
                self.slots.append(slot)
                return None
            waiter = Waiter[C]()
            self.waiting.append(waiter)
            if self.idle:  # given back since it was looked for
                self.serve()
            return waiter

    def _has_room(self) -> bool:
        return self.size is None or len(self.slots) < self.size

    def _connect(self, slot: Slot[C]) -> None:
        slot.in_call = True
        try:
            slot.connection = self.connect()
        finally:
            slot.in_call = False
            if slot.connection is None:
                self.remove(slot)

    def _wait(self, waiter: Waiter[C], patience: float) -> Slot[C] | None:
        """Wait for one's turn: for a slot, or for None, when it is worth another try."""
        served = False
        try:
            while not served:
                pause = max(0.0, min(patience, LOST_AFTER))
                patience -= pause
                served = waiter.lock.acquire(timeout=pause)
                if not served:
                    self.reclaim()
                    served = self._is_its_turn(waiter)
                    if patience <= 0:
                        break
        finally:
            if not served:
                self._give_up(waiter)
        if not served:
            raise StoreUnavailableError(
                self.target,
                f"none of its {self.size} connections was free for {self.timeout:g} s; shorten transactions, or "
                "allow more with ?pool_size= in the URL",
            )
        return waiter.slot

    def _is_its_turn(self, waiter: Waiter[C]) -> bool:
        # Though nobody has said so: a signal handler may interrupt who would have, before or after it left the queue.
        with self.lock:
            if waiter in self.waiting and self.lending and (self.idle or self._has_room()):
                self.waiting.remove(waiter)
                return True
            return waiter not in self.waiting

    def _give_up(self, waiter: Waiter[C]) -> None:
        with self.lock:
            if waiter in self.waiting:
                self.waiting.remove(waiter)
                return
        # It was served all the same, so it is the next one's turn.
        if waiter.slot is None:
            self.serve()
        else:
            with waiter.slot.lock:
                self.give_back(waiter.slot)

    def serve(self) -> None:
        with self.lock:
            if self.waiting:
                waiter = self.waiting.pop(0)
                waiter.slot = self.take_idle() if self.lending else None
                waiter.lock.release()

    def give_back(self, slot: Slot[C]) -> None:
        """Let others have a slot, whose lock is held, or close its connection if enough are idle."""
        idle = self.idle
        if (
            (len(idle) < self.max_idle or self.waiting)
            and slot.generation == self.generation and not self.closed and slot.connection is not None
        ):  # fmt: skip
            idle.append(slot)
            if self.waiting and self.lending:
                self.serve()
        else:
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
            patience = self.close_when_free(slot, patience)

    def _serve_all(self) -> None:
        with self.lock:
            while self.waiting:
                self.serve()

    # Forks

    def pause(self) -> None:
        """Lend nothing until :meth:`resume`."""
        self.lending, self.forking = False, threading.get_ident()

    def resume(self) -> None:
        """Go on lending."""
        self.lending, self.forking = not self.closed, None
        self._serve_all()

    def refuse_forked(self) -> NoReturn:
        """Raise StoreUnavailableError in a child that may not use the pool."""
        self.keep_inherited()
        self.process, self.mark = None, (0,)
        raise StoreUnavailableError(self.target, CLOSED if self.closed else FORKED)
