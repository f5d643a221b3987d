"""Peewee's transactions, which an interruption, a full disk or another thread does not leave open."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

from peewee import _savepoint, _transaction

from vulcan_store.engines.pool import FORKED
from vulcan_store.errors import StoreUnavailableError


class Transaction(_transaction):
    """Peewee's; an exception while it begins or ends (a signal handler's, say) rolls it back too.

    It belongs to the thread that entered it. Left in another one, as a framework does that runs the two halves of a
    generator in different threads, it is rolled back and says so.
    """

    slot: Any = None
    stack: list[Any]
    process: int

    def __enter__(self) -> Any:
        self.stack, self.process = self.db._state.transactions, os.getpid()
        try:
            super().__enter__()
        except BaseException:
            self.undo()
            raise
        self.slot = self.db._state.conn
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self not in self.db._state.transactions:
            elsewhere = self in self.stack
            if elsewhere and self.process == os.getpid():
                self._end_elsewhere()
            elif kind is not None:
                return  # it was lost with its connection; what happened before is what matters
            elif elsewhere:
                raise StoreUnavailableError(self.db.target, FORKED)
        try:
            super().__exit__(kind, error, traceback)
        except BaseException:
            self.undo()
            raise

    def _end_elsewhere(self) -> None:
        self.stack.remove(self)
        with self.slot.lock:
            self.slot.thread = None  # the thread that entered it is in none any more
            self.db.pool.discard(self.slot)
        raise StoreUnavailableError(
            self.db.target,
            "this transaction was left in another thread than it was entered in, and was rolled back; enter and leave "
            "`atomic()` in the same function",
        )

    def _begin(self) -> None:
        # Within its block too: `transaction.commit()` and `.rollback()` begin it anew.
        stack = self.db._state.transactions
        outer = stack[:]
        try:
            del stack[:]
            super()._begin()  # type: ignore[misc]
        finally:
            stack[:] = outer

    def undo(self) -> None:
        """Roll the transaction back, if it is open."""
        state = self.db._state
        if self in state.transactions:
            state.transactions.remove(self)
        if not state.transactions:
            self.db.rollback()


class Savepoint(_savepoint):
    """Peewee's, rolled back only if it still exists: on a full disk SQLite rolls everything back by itself."""

    def rollback(self, begin: bool = True) -> None:
        if self.db.is_transaction_open():
            super().rollback(begin)
