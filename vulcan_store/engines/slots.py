"""The connections that are open, and how they are closed: each when no call is under way on it, or when it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import compress
from operator import attrgetter, methodcaller
from typing import Any, Generic, TypeVar

C = TypeVar("C")

POLL = 0.001
"""Seconds between two looks at whether a transaction has ended, for which a fork waits."""
LOST_AFTER = 1.0
"""Seconds after which a slot that is neither idle nor used counts as lost."""


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


class Slots(Generic[C]):
    """Every slot of a database, those that nobody uses now among them.

    Whoever takes a slot finds out under the slot's lock whether its connection is still there, and takes another one if
    not; whoever closes, forks or reclaims has that lock while it closes the connection. So slots may go in and out of
    ``idle`` without another lock, in one step of the interpreter each, and a signal handler may raise at any moment: at
    worst a slot is then neither idle nor used by anybody, and is reclaimed later.

    Args:
        disconnect: closes a connection.
        is_in_transaction: whether a transaction is open on a connection.
    """

    def __init__(self, disconnect: Callable[[C], None], is_in_transaction: Callable[[C], bool]) -> None:
        self.disconnect, self.is_in_transaction = disconnect, is_in_transaction
        self.slots: list[Slot[C]] = []
        self.idle: list[Slot[C]] = []
        self.kept: set[Slot[C]] = set()
        self.unused: dict[Slot[C], float] = {}
        self.generation = 0

    def serve(self) -> None:
        """Let the first of those who wait go on, with a slot that is idle or with the room for another."""
        raise NotImplementedError

    def take_idle(self) -> Slot[C] | None:
        """A slot that nobody uses, if there is one."""
        try:
            return self.idle.pop()
        except IndexError:
            return None

    def discard(self, slot: Slot[C]) -> None:
        """Close a slot's connection and forget the slot."""
        connection, slot.connection = slot.connection, None
        self.remove(slot)
        if connection is not None:
            self.disconnect(connection)

    def remove(self, slot: Slot[C]) -> None:
        """Forget a slot that has no connection."""
        self.kept.discard(slot)
        for slots in (self.slots, self.idle):
            try:
                slots.remove(slot)
            except ValueError:
                pass
        self.serve()

    def retire(self) -> None:
        """Use the connections that are open no more, so that later ones have what was registered meanwhile."""
        self.generation += 1
        while (slot := self.take_idle()) is not None:
            with slot.lock:
                self.discard(slot)

    def reclaim(self) -> None:
        """Close what a thread left when it ended in the middle of a transaction, or an interruption between two calls.

        A slot that was taken and is not used yet looks like one that is lost; closing it does no harm but costs time.
        """
        now, unused = time.monotonic(), {}
        for slot in list(self.slots):
            locked: list[Slot[C]] = []
            unlocking = _unlocking(locked)
            try:
                _lock(slot, 0.0, locked)
                if locked and not slot.in_call and slot not in self.idle:
                    if slot.thread is None:
                        unused[slot] = self.unused.get(slot, now)
                        lost = now - unused[slot] >= LOST_AFTER
                    else:
                        lost = not slot.thread.is_alive()
                    if lost:
                        self.discard(slot)
            finally:
                list(unlocking)
        self.unused = unused

    def close_when_free(self, slot: Slot[C], patience: float, *, wait_for_transaction: bool = False) -> float:
        """Close a slot's connection, unless it is in use for so many seconds; how many of them are left."""
        while True:
            start, locked = time.monotonic(), list[Slot[C]]()
            unlocking = _unlocking(locked)
            try:
                _lock(slot, max(0.0, patience), locked)
                # In a call though its lock could be had: the call is this thread's.
                done = not locked or slot.in_call
                if not done and not (wait_for_transaction and self._is_in_transaction(slot)):
                    self.discard(slot)
                    done = True
            finally:
                list(unlocking)
            patience -= time.monotonic() - start
            if done or patience <= 0 or slot.thread is threading.current_thread():
                return patience
            time.sleep(POLL)
            patience -= POLL  # what was slept is counted as well: tests of users freeze clocks

    def _is_in_transaction(self, slot: Slot[C]) -> bool:
        return slot.connection is not None and self.is_in_transaction(slot.connection)

    def drain(self, patience: float) -> None:
        """Close every connection, each when no call and no transaction is under way on it, within so many seconds."""
        self.reclaim()
        for slot in list(self.slots):
            patience = self.close_when_free(slot, patience, wait_for_transaction=True)

    def hold(self, patience: float, held: list[Slot[C]]) -> None:
        """Add every slot to ``held`` and lock it, each when no call is under way, within so many seconds."""
        for slot in list(self.slots):
            start = time.monotonic()
            _lock(slot, max(0.0, patience), held)
            patience -= time.monotonic() - start

    def release(self, held: list[Slot[C]]) -> None:
        """Give back the locks that :meth:`hold` has taken."""
        list(_unlocking(held))
        del held[:]

    def keep_inherited(self) -> None:
        """In a forked child: let no connection of the parent's be closed, not by its end either."""
        for slot in self.slots:
            if slot.connection is not None:
                _keep_for_ever(slot.connection)
                slot.connection = None
        self.slots, self.idle, self.kept, self.unused = [], [], set(), {}


# In C, so that no signal handler comes in between the locking and the noting of it, nor before the unlocking.

def _lock(slot: Slot[C], seconds: float, locked: list[Slot[C]]) -> None:
    """Add a slot to those that are locked, unless another thread's call on it is under way for so many seconds."""
    locked.extend(compress((slot,), map(slot.lock.acquire, (True,), (seconds,))))


def _unlocking(locked: list[Slot[C]]) -> Iterator[None]:
    """Unlocks what is among the slots once it is read: made before they are locked, it is read in one step."""
    return map(_release, map(_lock_of, locked))


_release, _lock_of = methodcaller("release"), attrgetter("lock")


def has_living_thread(slot: Slot[Any]) -> bool:
    return slot.thread is None or slot.thread.is_alive()


def _keep_for_ever(connection: object) -> None:
    import ctypes  # seldom needed, and slow to import

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
