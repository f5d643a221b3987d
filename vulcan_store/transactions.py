"""Peewee's transactions, which an interruption or a full disk does not leave open."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from peewee import _savepoint, _transaction


class Transaction(_transaction):
    """Peewee's; an exception while it begins or ends (a signal handler's, say) rolls it back too."""

    def __enter__(self) -> Any:
        try:
            return super().__enter__()
        except BaseException:
            self.undo()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and self not in self.db._state.transactions:
            return  # it was lost with its connection; what happened before is what matters
        try:
            super().__exit__(kind, error, traceback)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Take the transaction back, if it is open."""
        state = self.db._state
        if self in state.transactions:
            state.transactions.remove(self)
        if state.conn is not None and state.conn.open and not state.transactions:
            state.conn.rollback()


class Savepoint(_savepoint):
    """Peewee's, rolled back only if it still exists: on a full disk SQLite rolls everything back by itself."""

    def rollback(self, begin: bool = True) -> None:
        if self.db.connection().in_transaction:
            super().rollback(begin)
