"""A Peewee database whose connections are borrowed for one statement or one transaction, and no longer."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from peewee import Database, _ConnectionLocal, _manual

from vulcan_store.engines.cursor import Cursor, Row
from vulcan_store.engines.pool import Pool
from vulcan_store.engines.slots import Slot
from vulcan_store.engines.transactions import Savepoint, Transaction
from vulcan_store.errors import StoreUnavailableError

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

ROLLED_BACK = (
    "the transaction was rolled back by an earlier error, or ended by a COMMIT or ROLLBACK of your own; "
    "leave its block before going on"
)
ENDED = "it was closed or forked in the middle of this transaction, which was rolled back"

logger = logging.getLogger("peewee")


class LendingDatabase(Database):
    """What every engine does with its pool.

    ``_state.conn`` is the slot that the thread has now: for one call, or until its transaction ends.
    """

    target: str
    pool: Pool[Any]
    _state: Any
    ended = True

    if TYPE_CHECKING:  # what Peewee's stubs leave out
        _log_query: Callable[[str, Any], None]
        _notify_hooks: Callable[[str, Any, float, Exception | None], None]
        _run_commit_callbacks: Callable[[], None]
        execute_sql: Callable[..., Cursor]

    # What an engine says of its driver

    def execute_whole(self, connection: Any, sql: str, values: Sequence[Any]) -> tuple[Any, list[Row]]:
        """Run a statement to its end; the driver's cursor, and the rows."""
        raise NotImplementedError

    def adapted(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values of a statement of the user's own, as the driver takes them."""
        return values

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each of any number of rows."""
        raise NotImplementedError

    # Lending

    def run(self, work: Callable[[Any, A, B], T], first: A, second: B) -> T:
        """Call ``work(connection, first, second)`` with the connection of this thread's transaction, or with any.

        It is given back afterwards, unless a transaction is open on it: then this thread keeps it until that ends.
        """
        # The dictionary of a thread-local once, since each attribute of one costs as much.
        state, pool = self._state.__dict__, self.pool
        while True:
            slot: Slot[Any] | None = state["conn"]
            if slot is None:
                if state["transactions"] and type(state["transactions"][-1]) is not _manual:
                    raise StoreUnavailableError(self.target, ROLLED_BACK)
                slot = state["conn"] = pool.take()
            elif not pool.mark[0]:
                pool.refuse_forked()
            elif slot.in_call and slot.connection is not None:
                return work(slot.connection, first, second)  # within a call of this thread's, which goes on afterwards
            with slot.lock:
                connection = slot.connection
                if connection is not None:
                    slot.in_call = True
                    try:
                        return work(connection, first, second)
                    finally:
                        slot.in_call = False
                        if pool.is_in_transaction(connection):
                            if slot.thread is None:
                                slot.thread = threading.current_thread()
                                pool.kept.add(slot)
                        else:
                            if slot.thread is not None:
                                pool.kept.discard(slot)
                                slot.thread = None
                            state["conn"] = None
                            pool.give_back(slot)
            # It was closed by whoever closes the store, forks or reclaims.
            state["conn"] = None
            if slot.thread is not None:
                raise StoreUnavailableError(self.target, ENDED)

    def with_connection(self, work: Callable[[Any], T]) -> T:
        """Call ``work(connection)``, as :meth:`run` calls what runs a statement."""
        return self.run(lambda connection, *_: work(connection), None, None)

    def is_watched(self) -> bool:
        """Whether somebody wants to see each statement: Peewee's logger, or its query hooks."""
        return bool(self.query_hooks) or logger.isEnabledFor(logging.DEBUG)

    @contextlib.contextmanager
    def shown(self, sql: str, values: Sequence[Any]) -> Iterator[None]:
        """Show a statement to whoever watches; it is run inside the block, and not by Peewee's ``execute_sql``."""
        self._log_query(sql, values)
        start, failure = time.perf_counter(), None
        try:
            yield
        except Exception as error:
            failure = error
            raise
        finally:
            self._notify_hooks(sql, values, start, failure)

    def close_pool(self, patience: float) -> None:
        """Close every connection, each after the call that it is in, and open none any more."""
        self.ended = True
        self.pool.close(patience)
        self._state.conn = None
        del self._state.transactions[:]

    def forget_threads(self) -> None:
        """In a forked child: no thread is in the middle of anything."""
        self._state = _ConnectionLocal()

    # Peewee's own ways

    def cursor(self, named_cursor: Any = None) -> Cursor:
        return Cursor(self)

    def connection(self) -> Any:
        """The driver's connection of this thread's transaction.

        Raises:
            StoreUnavailableError: the thread is in no transaction, so none is its own.
        """
        slot = self._state.conn
        if slot is None or slot.connection is None:
            self._refuse_connection()
        return slot.connection

    def _refuse_connection(self) -> NoReturn:
        if self.pool.closed:
            self.pool.take()
        raise StoreUnavailableError(
            self.target,
            "a connection is borrowed for one statement or one transaction; take it inside of "
            "`with store.database.atomic():`",
        )

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Change nothing: connections are borrowed as they are needed."""
        if self.ended:
            self.pool.take()  # says that it is closed
        return False

    def close(self) -> bool:
        """Change nothing: what closes the connections is :meth:`vulcan_store.Store.close`."""
        return False

    def is_closed(self) -> bool:
        return self.ended

    def transaction(self, *args: Any, **kwargs: Any) -> Transaction:
        return Transaction(self, *args, **kwargs)

    def savepoint(self) -> Savepoint:
        return Savepoint(self)

    def commit(self) -> None:
        if self._state.conn is None:
            raise StoreUnavailableError(self.target, ENDED if self.ended else ROLLED_BACK)
        super().commit()

    def rollback(self) -> None:
        # What the engine or whoever closed has rolled back already raises nothing; the error to be seen is the first.
        if self.is_transaction_open():
            super().rollback()

    def is_transaction_open(self) -> bool:
        """Whether this thread has a connection on which a transaction is open."""
        slot = self._state.conn
        return slot is not None and slot.connection is not None and self.pool.is_in_transaction(slot.connection)

    def pop_transaction(self) -> Any:
        if not self._state.transactions:
            raise StoreUnavailableError(self.target, ENDED)
        return super().pop_transaction()  # type: ignore[no-untyped-call]
